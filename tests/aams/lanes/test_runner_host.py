"""The machine that trains: after the job it is what it was before, and the trainer finds nothing worth having there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aams import confine
from aams.lanes import LANES, Lane
from aams.lanes.runner import Runner
from safety.contract import CONTRACT_PATH, load_contract
from tests.aams.lanes import runner_hub
from tests.aams.lanes.bundles import scripted
from tests.e2e.hub import NAME
from tests.e2e.place import SECRET

CONTRACT = load_contract(Path(__file__).parents[3] / CONTRACT_PATH)
TRAIN = Path(".github", "workflows", "train.yml")
LAST = "      - if: always() # the machine is as it was"
LOOK = """\
#!{python}
import json, os, sys
from pathlib import Path

def below(root):
    own = root / "act"  # where act keeps the machine's other folders
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if own not in (path, *path.parents))

named = ("GITHUB_WORKSPACE", "RUNNER_TEMP", "RUNNER_TOOL_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
places = {{name: Path(os.environ[name]) for name in named}}
places["home"] = places["XDG_CACHE_HOME"].parent / "home"
places["temporary"] = Path({temporary!r})
found = {{name: below(place) for name, place in places.items()}}
Path({place!r}, sys.argv[1] + ".json").write_text(json.dumps(found))
"""
"""A program that lists the machine's folders; its home and temporary ones are others than the job's."""
UNTIDY = """\
import socket, subprocess
for place in (Path.home(), Path('/var/tmp'), Path({tmp!r}), Path.cwd(), out):
    try:
        (place / 'left-by-a-trainer').write_text('x')
    except OSError:
        pass
if {bubblewrap}:
    words = [sys.executable, '-c', 'import time; time.sleep(300)', {mark!r}]
    subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    reached = socket.create_connection(('127.0.0.1', {port}), 5) is not None
except OSError:
    reached = False
(out / 'results.json').write_text(json.dumps({{'environment': dict(os.environ), 'reached': reached}}))
"""


@pytest.fixture
def hub(github_emulator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[runner_hub.RunnerHub]:
    """A site whose machine's job looks around before its first step, before its last one, and after it."""
    if runner_hub.why_not(github_emulator):
        pytest.skip(runner_hub.why_not(github_emulator))
    monkeypatch.setattr(Runner, "LOOK_S", 0.05)
    programs, temporary = tmp_path / "programs", tmp_path / "temporary"
    programs.mkdir()
    temporary.mkdir()
    (programs / "look").write_text(LOOK.format(python=sys.executable, place=str(tmp_path), temporary=str(temporary)))
    (programs / "look").chmod(0o755)
    search = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {"PATH": search, "TMPDIR": str(temporary)}
    with runner_hub.RunnerHub(github_emulator, tmp_path / "hub", environment=environment) as made:
        workflow = made.place.folder / TRAIN
        start, rest = workflow.read_text().split("  cuda:\n")
        job, deliver = rest.split("  deliver:\n")
        job = job.replace("    steps:\n", "    steps:\n      - run: look before\n")
        assert job.count(LAST) == 1
        job = job.replace(LAST, f"      - if: always()\n        run: look during\n{LAST}")
        job = f"{job.rstrip()}\n      - if: always()\n        run: look after\n\n"
        workflow.write_text(f"{start}  cuda:\n{job}  deliver:\n{deliver}")
        made.place.push("the job looks around")
        made.site.secret(NAME, "LAB", SECRET)
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def ended(hub: runner_hub.RunnerHub, lane: Lane, archive: Path) -> Any:
    """Have a bundle trained; its run."""
    lane.submit(archive)
    hub.site.wait_for_runs(300)
    return hub.site.runs(NAME)[-1]


def seen(place: Path, when: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((place / f"{when}.json").read_text())
    return found


def running(mark: str) -> list[str]:
    """Numbers of processes whose command line has a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words:
            found.append(path.parent.name)
    return found


@pytest.mark.hub
def test_the_machine_is_after_the_job_what_it_was_before(hub: runner_hub.RunnerHub, tmp_path: Path) -> None:
    lane, mark = LANES["runner"](tmp_path, CONTRACT), f"left-by-{tmp_path.name}-{os.getpid()}"
    port = int(hub.site.url.rpartition(":")[2].partition("/")[0])
    sealed = confine.isolation() == "bubblewrap"  # nothing weaker ends what a trainer leaves running
    untidy = UNTIDY.format(tmp=str(tmp_path / "temporary"), bubblewrap=sealed, mark=mark, port=port)
    archive = scripted(tmp_path, untidy)
    run = ended(hub, lane, archive)
    assert run.conclusion == "success", run.log[-3000:]
    before, during, after = (seen(tmp_path, when) for when in ("before", "during", "after"))
    assert after == before
    assert "work/results.zip" in during["GITHUB_WORKSPACE"] and before["GITHUB_WORKSPACE"] == []
    assert not Path("/var/tmp/left-by-a-trainer").exists()  # noqa: S108
    assert running(mark) == []

    handle = lane.handle_of(archive)
    results = json.loads((lane.fetch(handle, tmp_path / "returned") / "results.json").read_bytes())
    strange = ("GITHUB_", "AAMS_", "ACTIONS_", "RUNNER_", "INPUT_")
    assert not [name for name in results["environment"] if name.startswith(strange)]
    assert SECRET not in json.dumps(results) + run.log
    assert not results["reached"] or confine.isolation() in ("landlock", "none")

    failing = ended(hub, lane, scripted(tmp_path, "(out / 'left').write_text('x')\nsys.exit(7)"))
    assert failing.conclusion == "failure"
    assert [seen(tmp_path, when) for when in ("before", "after")] == [before, before]


@pytest.mark.hub
def test_the_machine_takes_no_job_of_another_branch(hub: runner_hub.RunnerHub, tmp_path: Path) -> None:
    repository = hub.place.repo("ann")
    repository.create_git_ref("refs/heads/mine", repository.get_branch("main").commit.sha)
    inputs = {"session": "aams-trial-0-00000000-language-000000000000", "bundle": "0" * 64, "lane": "cuda"}
    repository.get_workflow("train.yml").create_dispatch("mine", inputs, throw=True)
    hub.site.wait_for_runs(300)
    (run,) = hub.site.runs(NAME)
    assert run.branch == "mine" and not (tmp_path / "before.json").exists(), run.log
