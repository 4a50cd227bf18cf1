"""Passes on several machines, between which somebody carries files, come to the results of one training."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUNS = [(name, "honest", 40) for name in ("control-0", "child-0", "child-1")] + [("child-2", "broken", 40)]


def train(bundle: Path, out: Path, *options: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "trainer", str(bundle), str(out), "--workers", "1", *options],
        env={**os.environ, "PYTHONPATH": str(bundle), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def without_timing(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: without_timing(value) for key, value in data.items() if key != "timing"}
    return [without_timing(value) for value in data] if isinstance(data, list) else data


@pytest.fixture(scope="module")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path], language_model: Callable[..., str]
) -> Path:
    models = {"honest": language_model(), "broken": language_model(on_forward="raise ValueError('broken')")}
    return write_bundle(tmp_path_factory.mktemp("passes") / "bundle", models, RUNS, rungs=[(50, 1)])


def carried(home: Path, machine: Path, *names: str) -> Path:
    """A folder of its own for one machine, with what it goes on from."""
    shutil.rmtree(machine, ignore_errors=True)
    machine.mkdir()
    for path in home.iterdir():
        if path.name == "rungs.json" or path.stem in names:
            shutil.copy(path, machine)
    return machine


def test_runs_that_are_trained_in_passes_of_their_own_come_to_the_results_of_one_training(
    bundle: Path, tmp_path: Path
) -> None:
    home, whole = tmp_path / "home", tmp_path / "whole"
    assert train(bundle, whole)[0] == 0
    passes = []
    while not (home / "results.json").exists():
        status, said = train(bundle, home, "--only")
        assert status == 0 and not any(event["event"] == "step" for event in said)
        passes.append(said[-1]["runs"] if said[-1]["event"] == "next" else [])
        for name in passes[-1]:
            machine = carried(home, tmp_path / "machine", name)
            status, said = train(bundle, machine, "--only", name)
            assert status == 0 and {event["run"] for event in said if event["event"] == "step"} <= {name}
            shutil.copytree(machine, home, dirs_exist_ok=True)
            assert (home / f"{name}.json").exists() or (home / f"{name}.checkpoint").exists()
    told = json.loads((home / "results.json").read_bytes())
    winner = told["rungs"][0]["kept"]
    assert [sorted(names) for names in passes] == [["child-0", "child-1", "child-2", "control-0"], winner, []]
    assert without_timing(told) == without_timing(json.loads((whole / "results.json").read_bytes()))
    for name in ("control-0", *winner):
        assert (home / f"{name}.safetensors").read_bytes() == (whole / f"{name}.safetensors").read_bytes()


def test_a_machine_of_another_kind_trains_nothing(bundle: Path, tmp_path: Path) -> None:
    status, said = train(bundle, tmp_path, "--only", "child-0", "--fingerprint", "0" * 64)
    assert (status, said, list(tmp_path.iterdir())) == (3, [], [])
    status, said = train(bundle, tmp_path, "--only")
    assert train(bundle, tmp_path, "--only", "--fingerprint", said[-1]["fingerprint"])[0] == 0


def test_time_that_other_passes_took_is_gone(bundle: Path, tmp_path: Path) -> None:
    assert train(bundle, tmp_path, "--only", "control-0", "--spent-s", "601")[0] == 0
    record = json.loads((tmp_path / "control-0.json").read_bytes())["record"]
    assert (record["status"], record["reason"], record["steps"]) == ("stopped", "wall_s", 0)
    assert train(bundle, tmp_path, "--spent-s", "601")[0] == 0
    told = json.loads((tmp_path / "results.json").read_bytes())
    assert {(run["status"], run["reason"]) for run in told["runs"]} == {("stopped", "wall_s")}
    assert told["timing"]["wall_s"] > 601


def test_time_that_was_taken_before_an_interruption_counts_as_far_as_a_run_knows_it(
    bundle: Path, tmp_path: Path
) -> None:
    assert train(bundle, tmp_path, "--only", "control-0")[0] == 0
    kept = json.loads((tmp_path / "control-0.json").read_bytes())
    kept["record"]["timing"]["wall_s"] = 601.0
    (tmp_path / "control-0.json").write_text(json.dumps(kept))
    assert train(bundle, tmp_path)[0] == 0
    told = json.loads((tmp_path / "results.json").read_bytes())
    assert [run["status"] for run in told["runs"]] == ["finished", "stopped", "stopped", "stopped"]
    assert told["timing"]["wall_s"] > 601
