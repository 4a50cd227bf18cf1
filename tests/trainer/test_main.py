"""The command itself. Each of these starts processes that import torch, so there are few of them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUNS = [(f"child-{number}", "honest", 60) for number in range(5)]


def command(bundle: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "trainer", str(bundle), str(out), *options]


def environment(bundle: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(bundle), "PYTHONSAFEPATH": "1"}


def train(bundle: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(bundle, out, *options), env=environment(bundle), capture_output=True, text=True)


def train_until_done(bundle: Path, out: Path, count: int, number: int) -> tuple[int, str]:
    """Send a signal as soon as `count` runs were reported done; gives the exit status and stderr."""
    process = subprocess.Popen(
        command(bundle, out, "--workers", "1"),
        env=environment(bundle),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        for line in process.stdout or ():
            count -= json.loads(line)["event"] == "done"
            if not count:
                process.send_signal(number)
                break
        _, complaint = process.communicate()
    return process.returncode, complaint


def without_timing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_timing(value) for key, value in data.items() if key not in ("timing", "nonce")}
    return [without_timing(value) for value in data] if isinstance(data, list) else data


def contents(out: Path) -> dict[str, Any]:
    """Everything that must be equal between two equal trainings."""
    weights = {path.name: path.read_bytes() for path in out.glob("*.safetensors")}
    return {**weights, "results": without_timing(json.loads((out / "results.json").read_bytes()))}


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path], language_model: Callable[..., str]
) -> Path:
    return write_bundle(tmp_path_factory.mktemp("main") / "bundle", {"honest": language_model()}, RUNS)


@pytest.fixture(scope="module")
def uninterrupted(bundle: Path) -> tuple[Path, str]:
    """Where a training left its results, and what it said on stdout."""
    out = bundle.parent / "uninterrupted"
    ended = train(bundle, out, "--workers", "3", "--isolation", "none at all")
    assert (ended.returncode, ended.stderr) == (0, "")
    return out, ended.stdout


def test_results_are_bound_to_the_manifest_and_to_the_weights(uninterrupted: tuple[Path, str], bundle: Path) -> None:
    out, _ = uninterrupted
    results = json.loads((out / "results.json").read_bytes())
    assert (results["schema_version"], results["nonce"], results["isolation"]) == (1, "0" * 64, "none at all")
    assert len(results["manifest"]) == len(results["fingerprint"]) == 64
    assert [(run["name"], run["spec"], run["steps"]) for run in results["runs"]] == RUNS
    assert [run["seed"] for run in results["runs"]] == [2**53 - number for number in range(1, 6)]
    for run in results["runs"]:
        weights = (out / f"{run['name']}.safetensors").read_bytes()
        assert (run["weights"], run["weights_bytes"]) == (hashlib.sha256(weights).hexdigest(), len(weights))


def test_progress_is_one_json_object_a_line(uninterrupted: tuple[Path, str]) -> None:
    events = [json.loads(line) for line in uninterrupted[1].splitlines()]
    assert events[0] == {"event": "start", "runs": 5, "steps": 300}
    assert sorted(event["run"] for event in events if event["event"] == "done") == [name for name, _, _ in RUNS]
    step = next(event for event in events if event["event"] == "step")
    assert set(step) == {"event", "run", "step", "steps", "loss", "items_per_s", "tokens_per_s", "left_s"}


def test_progress_lies_beside_the_results_too(uninterrupted: tuple[Path, str]) -> None:
    progress = json.loads((uninterrupted[0] / "progress.json").read_bytes())
    assert progress.pop("time").endswith("Z")
    assert progress == {"runs": 5, "done": 5, "steps": 300, "steps_done": 300, "left_s": 0.0}


def test_an_interrupted_and_a_killed_training_go_on_to_the_same_bytes(
    uninterrupted: tuple[Path, str], bundle: Path
) -> None:
    out = bundle.parent / "interrupted"
    status, complaint = train_until_done(bundle, out, 1, signal.SIGINT)
    assert (status, complaint) == (130, "trainer: interrupted; run it again to go on\n")
    assert {path.name for path in out.iterdir()} >= {"child-0.json", "child-0.safetensors"}
    assert not (out / "results.json").exists()
    status, _ = train_until_done(bundle, out, 3, signal.SIGKILL)
    assert status == -signal.SIGKILL
    (out / ".child-4.safetensors.part").write_bytes(b"half")
    (out / "child-1.safetensors").write_bytes(b"damaged")
    kept = (out / "child-0.safetensors").stat().st_mtime_ns
    ended = train(bundle, out, "--isolation", "none at all")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (out / "child-0.safetensors").stat().st_mtime_ns == kept
    assert contents(out) == contents(uninterrupted[0])
    assert not list(out.glob(".*"))


def test_a_full_disk_is_one_clear_sentence(bundle: Path, tmp_path: Path) -> None:
    limited = ["/bin/sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *command(bundle, tmp_path)]
    ended = subprocess.run(limited, env=environment(bundle), capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "File too large; free space" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"], "and nothing half-written"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda place: (place / "manifest.json").unlink(), "No such file"),
        (lambda place: (place / "manifest.json").write_text("{"), "is not a manifest"),
        (lambda place: (place / "manifest.json").write_text("[]"), "is not a manifest"),
        (lambda place: (place / "manifest.json").write_text('{"inputs": {}}'), "is not a manifest"),
        (lambda place: (place / "models" / "honest.py").write_text("pass"), "is not what the manifest lists"),
        (lambda place: (place / "data" / "train.safetensors").unlink(), "No such file"),
        (lambda place: _rename_run(place, "../child"), "can't be named '../child'"),
        (lambda place: _rename_run(place, "results"), "can't be named 'results'"),
        (lambda place: _rename_run(place, "child-1"), "can't be named 'child-1'"),
    ],
)
def test_a_damaged_bundle_is_refused_before_anything_is_trained(
    damage: Callable[[Path], Any], complaint: str, bundle: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(bundle, tmp_path / "bundle")
    damage(place)
    ended = train(place, tmp_path / "out")
    assert ended.returncode == 1
    assert complaint in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_a_manifest_that_is_not_the_frozen_one_is_refused(bundle: Path, tmp_path: Path) -> None:
    ended = train(bundle, tmp_path, "--manifest-digest", "f" * 64)
    assert ended.returncode == 1
    assert "is not the one that was frozen" in ended.stderr


def test_misuse_is_exit_status_two(bundle: Path, tmp_path: Path) -> None:
    assert train(bundle, tmp_path, "--workers", "0").returncode == 2


def _rename_run(place: Path, name: str) -> None:
    manifest = json.loads((place / "manifest.json").read_text())
    manifest["inputs"]["runs"][0]["name"] = name
    (place / "manifest.json").write_text(json.dumps(manifest))
