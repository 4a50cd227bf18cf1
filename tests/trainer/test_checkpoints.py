"""A run that was interrupted comes to the same bytes as one that was not."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUNS = [(name, "honest", 60) for name in ("control-0", "child-0", "child-1", "child-2", "child-3")]
RUNGS = [(25, 3), (50, 1)]
OPTIMIZERS = [
    {"op": "adamw", "lr": 0.01, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95},
    {"op": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01},
    {"op": "muon", "lr": 0.02, "momentum": 0.95, "weight_decay": 0.01, "adamw_lr": 0.01},
]


def in_pieces(place: Path, pieces: int) -> dict[str, Any]:
    """Train the first run of a bundle in so many processes, one after the other; gives its outcome and weights."""
    from trainer import checkpoints, results, runs, train

    bundle = results.read_bundle(place)
    run = bundle.inputs["runs"][0]
    stops = [run["steps"] * piece // pieces for piece in range(1, pieces + 1)]
    start = None
    for stop in stops:
        reader, writer = os.pipe()
        segments = {run["name"]: train.Segment(run, start, stop, 60.0)}
        ended = runs.outcomes(
            bundle,
            [run],
            lambda run, left=segments: left.pop(run["name"], None),
            1,
            lambda event: None,
            reader,
            time.monotonic() + 600,
        )
        ((_, outcome, content),) = ended
        os.close(reader)
        os.close(writer)
        assert outcome["status"] == ("finished" if stop == run["steps"] else "paused"), outcome["reason"]
        start = checkpoints.Checkpoint(outcome, content)
    timing = outcome.pop("timing")
    assert all(value > 0 for value in timing.values())
    return {**outcome, "bytes": content}


@pytest.mark.parametrize("domain", ["language", "vision", "hybrid"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: optimizer["op"])
def test_a_run_in_three_processes_comes_to_the_bytes_of_one(
    domain: str,
    optimizer: dict[str, Any],
    tmp_path: Path,
    write_bundle: Callable[..., Path],
    language_model: Callable[..., str],
    other_models: dict[str, str],
) -> None:
    models = {"language": language_model(), **other_models}
    models = {name: source.replace("self.head(", "self.head(nn.functional.dropout(") for name, source in models.items()}
    models = {name: _close_brackets(source) for name, source in models.items()}
    place = write_bundle(tmp_path, models, [("child-0", domain, 67)], domain=domain, training={"optimizer": optimizer})
    assert in_pieces(place, 3) == in_pieces(place, 1)


def _close_brackets(source: str) -> str:
    """Close the bracket of the dropout that was opened in the last line."""
    return source.rstrip()[:-1] + ", training=self.training))\n"


def command(bundle: Path, out: Path, *options: str) -> list[str]:
    own = ("--workers", "2", "--checkpoint-s", "0", *options)
    return [sys.executable, "-W", "error", "-m", "trainer", str(bundle), str(out), *own]


def environment(bundle: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(bundle), "PYTHONSAFEPATH": "1"}


def train(bundle: Path, out: Path, *before: str) -> subprocess.CompletedProcess[str]:
    whole = [*before, *command(bundle, out)]
    return subprocess.run(whole, env=environment(bundle), capture_output=True, text=True)


def killed(bundle: Path, out: Path, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
    """Kill a training as soon as it has said enough; gives what it said."""
    said: list[dict[str, Any]] = []
    with subprocess.Popen(command(bundle, out), env=environment(bundle), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            said.append(json.loads(line))
            if enough(said):
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL, "it was killed before its end"
    return said


def without_timing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_timing(value) for key, value in data.items() if key != "timing"}
    return [without_timing(value) for value in data] if isinstance(data, list) else data


def contents(out: Path) -> dict[str, Any]:
    """Everything that must be equal between two equal trainings."""
    weights = {path.name: path.read_bytes() for path in out.glob("*.safetensors")}
    return {**weights, "results": without_timing(json.loads((out / "results.json").read_bytes()))}


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path], language_model: Callable[..., str]
) -> Path:
    place = tmp_path_factory.mktemp("checkpoints") / "bundle"
    return write_bundle(place, {"honest": language_model()}, RUNS, rungs=RUNGS)


@pytest.fixture(scope="module")
def uninterrupted(bundle: Path) -> Path:
    out = bundle.parent / "uninterrupted"
    ended = train(bundle, out)
    assert (ended.returncode, ended.stderr) == (0, "")
    return out


def test_the_children_climb_and_controls_do_not(uninterrupted: Path) -> None:
    results = json.loads((uninterrupted / "results.json").read_bytes())
    runs = {run["name"]: run for run in results["runs"]}
    first, second = results["rungs"]
    assert [(rung["percent"], len(rung["ranks"]), len(rung["kept"])) for rung in (first, second)] == [
        (25, 4, 3),
        (50, 3, 1),
    ]
    assert {rank["run"] for rank in second["ranks"]} == set(first["kept"])
    for rung, steps in ((first, 15), (second, 30)):
        bits = [rank["bits"] for rank in rung["ranks"]]
        assert bits == sorted(bits)
        for place, rank in enumerate(rung["ranks"], start=1):
            if rank["run"] not in rung["kept"]:
                run = runs[rank["run"]]
                assert (run["status"], run["steps"], run["weights"]) == ("dropped", steps, "")
                assert run["reason"] == f"rung {rung['percent']} %: place {place} of {len(rung['ranks'])}"
    (winner,) = second["kept"]
    assert [name for name, run in runs.items() if run["status"] == "finished"] == ["control-0", winner]


def test_what_was_measured_on_the_way_changes_nothing_of_the_winner(
    uninterrupted: Path, tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str]
) -> None:
    from trainer import results

    plain = write_bundle(tmp_path, {"honest": language_model()}, RUNS)
    told = json.loads((uninterrupted / "results.json").read_bytes())
    winner = told["rungs"][-1]["kept"][0]
    runs = results.read_bundle(plain).inputs["runs"]
    seed = next(run["seed"] for run in runs if run["name"] == winner)
    alone = write_bundle(tmp_path / "alone", {"honest": language_model()}, [(winner, "honest", 60)])
    manifest = json.loads((alone / "manifest.json").read_text())
    manifest["inputs"]["runs"][0]["seed"] = seed
    (alone / "manifest.json").write_text(json.dumps(manifest))
    assert in_pieces(alone, 1)["bytes"] == (uninterrupted / f"{winner}.safetensors").read_bytes()


def test_a_training_that_is_killed_again_and_again_comes_to_the_same_bytes(
    bundle: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """Killed in the first segments, after the first rung was decided, and while the last child is on its way."""
    for enough in (
        lambda said: sum(event["event"] == "step" for event in said) == 9,
        lambda said: any(event["event"] == "done" for event in said),
        lambda said: any(event.get("step", 0) > 40 for event in said),
    ):
        killed(bundle, tmp_path, enough)
        assert not (tmp_path / "results.json").exists()
        assert list(tmp_path.glob("*.checkpoint"))
    ended = train(bundle, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert contents(tmp_path) == contents(uninterrupted)
    assert not list(tmp_path.glob("*.checkpoint")), "they are removed when their runs end"


def test_a_training_that_is_killed_leaves_no_process_behind(bundle: Path, tmp_path: Path) -> None:
    killed(bundle, tmp_path, lambda said: len({event.get("run") for event in said if event["event"] == "step"}) == 2)

    def left() -> list[str]:
        found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in read(path)]
        return [path.parent.name for path in found]

    deadline = time.monotonic() + 10
    while left() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left() == []


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_checkpoint_is_gone_on_with_and_a_damaged_one_counts_for_nothing(
    bundle: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    def enough(said: list[dict[str, Any]]) -> bool:
        return said[-1].get("step", 0) >= 12 and len(list(tmp_path.glob("*.checkpoint"))) == 2

    said = killed(bundle, tmp_path, enough)
    run = said[-1]["run"]
    (other,) = {event["run"] for event in said if event["event"] == "step"} - {run}
    damaged = tmp_path / f"{other}.checkpoint"
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    ended = train(bundle, tmp_path)
    first = {
        event["run"]: event["step"]
        for event in reversed([json.loads(line) for line in ended.stdout.splitlines()])
        if event["event"] == "step"
    }
    assert (first[run] >= 12, first[other]) == (True, 1)
    assert contents(tmp_path) == contents(uninterrupted)


def test_a_checkpoint_that_is_none_or_that_this_session_did_not_write_counts_for_nothing(
    bundle: Path, tmp_path: Path
) -> None:
    from trainer import checkpoints, results

    read, environment = results.read_bundle(bundle), {"python": "3"}
    own = checkpoints.Checkpoint({"steps": 3}, b"own")
    written = checkpoints.keep(tmp_path, read, environment, "child-0", own)
    assert checkpoints.find(tmp_path, read, environment, "child-0", written) == own
    other = checkpoints.keep(tmp_path, read, environment, "child-0", checkpoints.Checkpoint({"steps": 3}, b"other"))
    assert other != written and checkpoints.find(tmp_path, read, environment, "child-0", written) is None
    for header in (b"[]", b"{}", b"7", b"[" * 100_000, b"\xff"):
        content = header + b"\n"
        digest = hashlib.sha256(content).hexdigest().encode()
        (tmp_path / "child-0.checkpoint").write_bytes(digest + b"\n" + content)
        assert checkpoints.find(tmp_path, read, environment, "child-0") is None


def test_a_disk_that_is_full_at_a_checkpoint_is_one_sentence_and_loses_nothing(
    bundle: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    killed(bundle, tmp_path, lambda said: any(event["event"] == "done" for event in said))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".part"}
    ended = train(bundle, tmp_path, "/bin/sh", "-c", 'ulimit -f 20; exec "$@"', "sh")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "File too large; free space" in ended.stderr
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert before.keys() <= after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"progress.json"}
    assert train(bundle, tmp_path).returncode == 0
    assert contents(tmp_path) == contents(uninterrupted)


def test_decisions_that_were_lost_are_made_again(bundle: Path, uninterrupted: Path, tmp_path: Path) -> None:
    """What was trained beyond a rung that nobody knows of any more is trained again."""
    killed(bundle, tmp_path, lambda said: any(event.get("step", 0) > 40 for event in said))
    (tmp_path / "rungs.json").write_bytes(b'{"manifest": 1')
    ended = train(bundle, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert contents(tmp_path) == contents(uninterrupted)


LIES = {
    "finished before its time": {"status": "finished", "steps": 60},
    "paused elsewhere": {"status": "paused", "steps": 14},
    "paused at its end": {"status": "paused", "steps": 60},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_child_that_lies_about_where_it_stands_has_failed_and_skips_no_rung(
    lie: str, tmp_path: Path, write_bundle: Callable[..., Path], language_model: Callable[..., str]
) -> None:
    told = {
        "reason": "",
        "items": 80,
        "loss_first": 5.0,
        "loss_last": 1.0,
        "curve": [],
        "parameters": 2120,
        "validation": {"accuracy": 1.0, "bits": 0.0},
        "law_violations": [],
        **LIES[lie],
        "timing": dict.fromkeys(("wall_s", "cpu_s", "train_cpu_s", "latency_ms", "peak_memory_bytes"), 1.0),
    }
    liar = f"""\
import json, os, sys
        frame = sys._getframe()
        while "pipe" not in frame.f_locals:
            frame = frame.f_back
        pipe = frame.f_locals["pipe"]
        pipe.send_bytes(json.dumps({{"event": "outcome", "outcome": {told}}}).encode())
        pipe.send_bytes(b"")
        os._exit(0)"""
    runs = [*RUNS[:4], ("child-3", "liar", 60)]
    models = {"honest": language_model(), "liar": language_model(on_forward=liar)}
    assert train(write_bundle(tmp_path / "bundle", models, runs, rungs=RUNGS), tmp_path / "out").returncode == 0
    results = json.loads((tmp_path / "out" / "results.json").read_bytes())
    statuses = {run["name"]: run["status"] for run in results["runs"]}
    assert statuses["child-3"] == "failed"
    assert sorted(statuses.values()) == ["dropped", "dropped", "failed", "finished", "finished"]
    assert [len(rung["ranks"]) for rung in results["rungs"]] == [3, 3]


def test_a_signal_to_the_whole_group_interrupts_and_fails_nobody(
    bundle: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    """A lane ends a session by its group: the runs' processes get the signal too, and wait for their parent."""
    process = subprocess.Popen(
        command(bundle, tmp_path), env=environment(bundle), stdout=subprocess.PIPE, text=True, process_group=0
    )
    with process:
        for line in process.stdout or ():
            if json.loads(line)["event"] == "step":
                os.killpg(process.pid, signal.SIGTERM)
                break
        rest, _ = process.communicate()
    assert process.returncode == 130
    assert "failed" not in rest
    assert train(bundle, tmp_path).returncode == 0
    assert contents(tmp_path) == contents(uninterrupted)
