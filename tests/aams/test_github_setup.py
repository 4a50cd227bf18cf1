"""`aams github setup`: what differs is said exactly, applied once, and nothing is left to do the second time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aams.cli import main
from aams.github import calls, repository

ROOT = Path(__file__).parents[2]
APP = 4242
DONE = "All settings are as declared."


class Setup:
    """A repository at GitHub's emulator, and the command about it, as its owner runs it."""

    def __init__(self, site: Any, capsys: pytest.CaptureFixture[str]) -> None:
        self.site, self._capsys = site, capsys
        self.token = site.user("ann")
        self.lab = site.repository("ann/lab", {}, {"README.md": "A lab.\n"})

    def run(self, *arguments: str, status: int = 0, app: int = APP) -> str:
        """What the command says, on stdout, or on stderr when it fails."""
        assert main(["github", "setup", "--root", str(ROOT), "--app", str(app), *arguments]) == status
        said = self._capsys.readouterr()
        assert self.token not in said.out + said.err
        return said.err if status else said.out


@pytest.fixture
def setup(
    github_emulator: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setup]:
    pytest.importorskip("github")
    pytest.importorskip("tenacity")
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.01)
    with github_emulator.GitHubEmulator(tmp_path / "site", actions=False) as site:
        made = Setup(site, capsys)
        monkeypatch.setenv("GITHUB_API_URL", site.url)
        monkeypatch.setenv("GITHUB_REPOSITORY", "ann/lab")
        monkeypatch.setenv("AAMS_GITHUB_TOKEN", made.token)
        yield made


@pytest.fixture
def applied(setup: Setup) -> Setup:
    """A repository that is set up."""
    setup.run("--apply")
    return setup


def test_a_dry_run_says_all_that_differs_and_changes_nothing(setup: Setup) -> None:
    said = setup.run()
    for part in ("ruleset main", "ruleset generations", "environment propose", "environment verdict", "label train"):
        assert f"{part}: is absent, should be " in said
    assert "repository: allow_squash_merge: is true, should be false" in said
    assert 'pages: is absent, should be {"build_type":"workflow"}' in said
    assert said.endswith("--apply changes them.\n")
    assert setup.run("--dry-run") == setup.run() == said
    assert {exchange.method for exchange in setup.site.requests} == {"GET"}


def test_applied_twice_the_second_time_finds_nothing(setup: Setup) -> None:
    assert setup.run("--apply").endswith("of the settings differ: changed.\n")
    before = len(setup.site.requests)
    assert setup.run() == setup.run("--apply") == f"{DONE}\n"
    assert {exchange.method for exchange in setup.site.requests[before:]} == {"GET"}


def test_the_required_check_is_the_apps_own(applied: Setup) -> None:
    said = applied.run(app=777)
    assert said.count("\n") == 4
    assert said.count('"actor_id":777,"actor_type":"Integration"') == 2, "who may push proposals, and tag promotions"
    assert f'"context":"aams/arbiter","integration_id":{APP}' in said
    assert '"context":"aams/arbiter","integration_id":777' in said


def weaken(rule: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(settings: dict[str, Any]) -> None:
        found = next(one for one in settings["rules"] if one["type"] == rule)
        found["parameters"] = {**found["parameters"], **changes}

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda settings: settings.update(enforcement="disabled"), "enforcement: is disabled, should be active"),
        (
            lambda settings: settings.update(bypass_actors=[{"actor_id": 1, "actor_type": "User"}]),
            'bypass_actors: is [{"actor_id":1,"actor_type":"User"}], should be []',
        ),
        (lambda settings: settings.update(rules=settings["rules"][1:]), 'rules: is [{"type":"non_fast_forward"}'),
        (weaken("pull_request", require_code_owner_review=False), '"require_code_owner_review":false'),
        (weaken("pull_request", dismiss_stale_reviews_on_push=False), '"dismiss_stale_reviews_on_push":false'),
        (weaken("required_status_checks", required_status_checks=[]), '"required_status_checks":[]'),
    ],
)
def test_a_weakened_ruleset_is_found_and_mended(
    change: Callable[[dict[str, Any]], None], said: str, applied: Setup
) -> None:
    ruleset = next(one for one in applied.lab.rulesets.values() if one.name == "main")
    change(ruleset.settings)
    found = applied.run()
    assert f"ruleset main: {said}" in found if said[0] != '"' else said in found
    assert found.startswith("ruleset main: ")
    applied.run("--apply")
    assert applied.run() == f"{DONE}\n"


def test_an_environment_open_to_another_branch_is_confined_again(applied: Setup) -> None:
    owner = repository.Repository("ann/lab", applied.token, applied.site.url)
    owner.ask("POST", "/environments/verdict/deployment-branch-policies", {"name": "feature/*"})
    assert 'environment verdict: branches: is ["feature/*","main"], should be ["main"]' in applied.run("--apply")
    assert applied.run() == f"{DONE}\n"


def test_what_is_not_declared_is_left_alone(applied: Setup) -> None:
    owner = repository.Repository("ann/lab", applied.token, applied.site.url)
    owner.ask("POST", "/rulesets", {"name": "mine", "enforcement": "disabled", "rules": []})
    owner.ask("POST", "/labels", {"name": "mine", "color": "ffffff"})
    assert applied.run("--apply") == f"{DONE}\n"
    assert "mine" in applied.lab.labels
    assert "mine" in [one.name for one in applied.lab.rulesets.values()]


def test_a_programme_gets_the_differences_as_data(applied: Setup) -> None:
    applied.lab.options["allow_squash_merge"] = True
    told = json.loads(applied.run("--json"))
    assert told == {
        "differences": [{"where": "repository: allow_squash_merge", "actual": "true", "declared": "false"}],
        "applied": False,
    }


@pytest.mark.parametrize("status", [500, 502, 503, 429])
@pytest.mark.parametrize("carried_out", [False, True])
def test_an_outage_that_passes_is_waited_for(status: int, carried_out: bool, setup: Setup) -> None:
    setup.site.fail_next("GET", "rulesets", status, times=2)
    setup.site.fail_next("PATCH", "ann/lab$", status, times=2, carried_out=carried_out)
    setup.run("--apply")
    assert setup.run() == f"{DONE}\n"


def test_what_was_made_is_not_made_twice_when_its_answer_is_lost(setup: Setup) -> None:
    setup.site.fail_next("POST", "rulesets", 502, carried_out=True)
    assert "can't POST /rulesets; got 502" in setup.run("--apply", status=1)
    setup.run("--apply")
    assert setup.run() == f"{DONE}\n"
    assert sorted(one.name for one in setup.lab.rulesets.values()) == ["generations", "main", "promotions", "proposals"]


def test_one_call_too_many_is_made_again_whatever_it_is(setup: Setup) -> None:
    setup.site.fail_next("POST", "rulesets", 429)
    setup.run("--apply")
    assert setup.run() == f"{DONE}\n"


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "TIMEOUT_S", 1)
    setup.site.fail_next("GET", "pages", "timeout", times=1)
    assert "pages: is absent" in setup.run()
    setup.site.fail_next("GET", "pages", "timeout", times=calls.TRIES)
    said = setup.run(status=1)
    assert said.startswith("error: github: can't GET /pages; got 0 ")
    assert said.endswith("; run the same command again\n")


def test_an_outage_that_stays_is_one_clear_error(setup: Setup) -> None:
    setup.site.fail_next("*", "rulesets", 503, times=calls.TRIES)
    assert setup.run("--apply", status=1).startswith("error: github: can't GET /rulesets?per_page=100&page=1; got 503")
    setup.run("--apply")
    assert setup.run() == f"{DONE}\n"


def test_github_says_how_long_to_wait(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    setup.site.fail_next("GET", "pages", 429, times=1, retry_after_s=7)
    setup.run()
    assert waited == [7.0]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("GITHUB_REPOSITORY", "", "names no repository; got nothing; set GITHUB_REPOSITORY to OWNER/NAME"),
        ("GITHUB_REPOSITORY", "ann/lab/../other", "names no repository"),
        ("GITHUB_REPOSITORY", "ann/none", "got 404 Not Found; see that the token may do this"),
        ("AAMS_GITHUB_TOKEN", "", "there is no token; got AAMS_GITHUB_TOKEN is not set"),
        ("AAMS_GITHUB_TOKEN", "ghp_stale", "got 401 "),
    ],
)
def test_what_is_missing_is_named(
    variable: str, value: str, said: str, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    error = setup.run(status=1)
    assert said in error
    assert "ghp_stale" not in error


def test_somebody_who_may_not_set_it_up_is_told_so(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = setup.site.user("eve")
    monkeypatch.setenv("AAMS_GITHUB_TOKEN", stranger)
    assert "got 403 " in setup.run("--apply", status=1)
