"""What every lane owes: a bundle goes in, what was trained comes out, once, and whatever else happens is told."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from aams.canonical import digest, sha256, to_data
from aams.errors import AamsError, LaneError
from aams.lanes import LANES, Handle, Lane, Report, Status, train
from aams.lanes.kaggle import Kaggle
from aams.lanes.runner import Runner
from aams.records import Manifest, Run, Rung
from safety.contract import CONTRACT_PATH, load_contract
from tests.aams.lanes import runner_hub
from tests.aams.lanes.bundles import SPEC, packed, scripted
from tests.aams.lanes.ray_cluster import RayCluster, why_not

CONTRACT = load_contract(Path(__file__).parents[3] / CONTRACT_PATH)
Make = Callable[[Path], Lane]
RESULTS = "(out / 'results.json').write_text(json.dumps({'made': time.time_ns()}))"


SLOW_LANES = [pytest.param(name, marks=pytest.mark.hub) for name in ("kaggle", "runner", "ray")]
UNSEEN = {
    "runner": "the job that trains can write nothing to GitHub, whose API gives a log only when its job has ended"
}
"""Lanes that see no progress, and why."""


@pytest.fixture(params=["local", *SLOW_LANES], scope="module")
def lane(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:
        if request.param == "kaggle":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(Kaggle, "POLL_S", 0.2)
            emulator = request.getfixturevalue("kaggle_emulator")
            if emulator.why_not():
                pytest.skip(emulator.why_not())
            site = stack.enter_context(emulator.KaggleEmulator(tmp_path_factory.mktemp("kaggle")))
            for name, value in site.environment("ann").items():
                patch.setenv(name, value)
        if request.param == "runner":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            patch.setattr(Runner, "POLL_S", 0.2)
            patch.setattr(Runner, "LOOK_S", 0.05)
            emulator = request.getfixturevalue("github_emulator")
            if runner_hub.why_not(emulator):
                pytest.skip(runner_hub.why_not(emulator))
            hub = stack.enter_context(runner_hub.RunnerHub(emulator, tmp_path_factory.mktemp("hub")))
            for name, value in hub.environment().items():
                patch.setenv(name, value)
        if request.param == "ray":
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            if why_not():
                pytest.skip(why_not())
            for name, value in stack.enter_context(RayCluster(2)).environment().items():
                patch.setenv(name, value)
        yield lambda place: LANES[request.param](place, CONTRACT)


def run(lane: Make, archive: Path, place: Path, report: Report | None = None) -> Path:
    """Train a bundle to its end; the folder with the results."""
    return train(lane(place), archive, place / "returned", report or silent)


def silent(event: Mapping[str, Any]) -> None:
    """Take progress and say nothing."""


Trained = tuple[Manifest, Path, list[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def trained(lane: Make, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The real trainer's work: manifest, what the lane handed back, and the events it reported."""
    work = tmp_path_factory.mktemp("work")
    archive, manifest = packed(work)
    events: list[Mapping[str, Any]] = []
    return manifest, run(lane, archive, work, events.append), events


def results_of(returned: Path) -> Any:
    return json.loads((returned / "results.json").read_bytes())


def test_a_lane_is_listed_under_its_own_name(tmp_path: Path) -> None:
    for name, make in LANES.items():
        assert name == make(tmp_path, CONTRACT).NAME
        assert re.fullmatch("[a-z][a-z0-9-]*", name)


def test_every_run_comes_back_bound_to_its_manifest(trained: Trained) -> None:
    manifest, returned, _ = trained
    results = results_of(returned)
    assert (results["manifest"], results["nonce"]) == (digest(to_data(manifest.inputs)), manifest.envelope.nonce)
    assert [run["name"] for run in results["runs"]] == ["child-0", "control-0"]
    for run in results["runs"]:
        assert (run["status"], run["steps"]) == ("finished", 3), run["reason"]
        weights = returned / f"{run['name']}.safetensors"
        assert sha256(weights.read_bytes()) == run["weights"]
        assert sum(array.size for array in load_file(weights).values()) == run["parameters"] == 2304


def test_progress_tells_of_every_run(lane: Make, trained: Trained, tmp_path: Path) -> None:
    events, name = trained[2], lane(tmp_path).NAME
    if name in UNSEEN:
        assert events == []
        pytest.skip(UNSEEN[name])
    assert (events[0]["event"], events[0]["runs"]) == ("start", 2)
    done = {event["run"]: event["status"] for event in events if event["event"] == "done"}
    assert done == {"child-0": "finished", "control-0": "finished"}


def test_a_child_that_was_dropped_at_a_rung_leaves_nothing_but_its_record(lane: Make, tmp_path: Path) -> None:
    children = [Run(f"child-{number}", "child", number, SPEC, 21 + number, 8) for number in range(3)]
    archive, _ = packed(tmp_path, runs=[Run("control-0", "control", 0, SPEC, 20, 8), *children], rungs=[Rung(50, 1)])
    returned = run(lane, archive, tmp_path)
    ended = {one["name"]: one["status"] for one in results_of(returned)["runs"]}
    assert sorted(ended.values()) == ["dropped", "dropped", "finished", "finished"]
    weights = {f"{name}.safetensors" for name, status in ended.items() if status == "finished"}
    assert {path.name for path in returned.iterdir() if path.suffix != ".json"} == weights


def test_noise_on_the_trainers_stdout_is_no_progress(lane: Make, tmp_path: Path) -> None:
    source = (
        "for line in ('hello', '{', '[1]', 'null', '{\"event\": 1}', '{\"event\": [\"start\"]}', '\\x1b[31m'):\n"
        "    print(line)\n"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n')\n"
        'print(\'{"event": "start", "runs": 2, "steps": 6}\', end=\'\')\n' + RESULTS
    )
    events: list[Mapping[str, Any]] = []
    run(lane, scripted(tmp_path, source), tmp_path, events.append)
    seen = lane(tmp_path).NAME not in UNSEEN
    assert events == ([{"event": "start", "runs": 2, "steps": 6}] if seen else [])


def test_a_trainer_that_fails_is_told_in_one_sentence_and_may_be_submitted_again(lane: Make, tmp_path: Path) -> None:
    archive = scripted(tmp_path, "sys.exit(7)")
    for _ in range(2):
        with pytest.raises(LaneError, match="the trainer ended without results") as failure:
            run(lane, archive, tmp_path)
        assert "run the same command again" in str(failure.value) and len(str(failure.value)) < 600


def test_a_changed_bundle_is_refused_before_anything_runs(lane: Make, tmp_path: Path) -> None:
    archive = scripted(tmp_path, "(out / 'ran').write_text('x')")
    archive.write_bytes(archive.read_bytes().replace(b"'ran'", b"'run'"))
    with pytest.raises(AamsError, match="is not a readable bundle"):
        run(lane, archive, tmp_path)
    assert not list(tmp_path.rglob("r?n"))


SLOW = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\ntime.sleep(60)"


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not met() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert met()


def test_a_bundle_that_is_submitted_twice_is_trained_once(lane: Make, tmp_path: Path) -> None:
    archive = scripted(tmp_path, f"time.sleep(1)\n{RESULTS}")
    first, other = lane(tmp_path), lane(tmp_path)
    handle = first.submit(archive)
    assert first.submit(archive) == handle == other.submit(archive)
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", handle.name) and len(handle.name) <= 50
    assert other.poll(handle).status in (Status.QUEUED, Status.RUNNING, Status.DONE)
    wait_for(lambda: first.poll(handle).status is Status.DONE)
    made = results_of(first.fetch(handle, tmp_path / "returned"))
    assert lane(tmp_path).submit(archive) == handle
    assert lane(tmp_path).poll(handle).status is Status.DONE
    assert results_of(lane(tmp_path).fetch(handle, tmp_path / "again")) == made
    first.discard(handle)


def test_a_session_that_was_cancelled_has_no_results_and_may_be_submitted_again(lane: Make, tmp_path: Path) -> None:
    archive = scripted(tmp_path, SLOW)
    where = lane(tmp_path)
    handle = where.submit(archive)
    wait_for(lambda: where.poll(handle).status is Status.RUNNING)
    where.cancel(handle)
    where.cancel(handle)
    assert where.poll(handle).status in (Status.CANCELLED, Status.FAILED, Status.MISSING)
    with pytest.raises(LaneError, match="there are no results"):
        where.fetch(handle, tmp_path / "returned")
    assert where.submit(archive) == handle
    wait_for(lambda: where.poll(handle).status is Status.RUNNING)
    where.cancel(handle)


def test_what_was_never_submitted_is_missing_and_may_be_cancelled(lane: Make, tmp_path: Path) -> None:
    where = lane(tmp_path / "nowhere")
    handle = Handle(where.NAME, "aams-trial-0-00000000-language-000000000000")
    where.cancel(handle)
    assert where.poll(handle).status is Status.MISSING
    with pytest.raises(LaneError, match="there are no results"):
        where.fetch(handle, tmp_path / "returned")


def test_a_lane_says_what_it_can_still_take(lane: Make, tmp_path: Path) -> None:
    quota = lane(tmp_path).quota()
    assert quota.sessions is None or quota.sessions >= 0
    assert quota.seconds is None or quota.seconds >= 0
