from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import digest
from aams.errors import AamsError, ResultError
from aams.records import Budget, Cost, Envelope, Inputs, Manifest, Run
from evaluator.results import Returned, read_results
from safety.manifest import freeze, manifest_digest

CONTROL, CHILD, OTHER = "a" * 64, "b" * 64, "c" * 64
COST = Cost(1000, 2000, 6000, 0, 32, 192000, 4096, 16000)
COSTS = {CONTROL: COST, CHILD: COST, OTHER: COST}
MANIFEST = freeze(
    Inputs(
        schema_version=1,
        cycle="cycle-7",
        stage="attempt",
        batch=0,
        domain="language",
        generation="G001",
        sealed="5" * 64,
        parent="G000",
        parent_weights="d" * 64,
        corpus="corpus-a",
        digests={},
        files={},
        runs=(
            Run("control-0", "control", 0, CONTROL, 11, 90),
            Run("child-0", "child", 0, CHILD, 12, 90),
            Run("child-1", "child", 1, OTHER, 13, 90),
        ),
        rungs=(),
        compute_flops=10**9,
        budget=Budget(10**7, 2000, 12 * 10**9, 3600, 5 * 10**9),
        confinement=("bubblewrap", "landlock"),
    ),
    Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""),
)
ENVIRONMENT = {
    "python": "3.11.9",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "platform": "linux-x86_64",
    "processor": "Some CPU (R) @ 2.00GHz",
    "capability": "AVX2",
    "threads": 1,
    "deterministic": "error",
    "device": "cpu",
    "compute": "",
    "driver": "",
    "cuda": "",
    "cudnn": "",
}
TIMING = {"wall_s": 2.5, "cpu_s": 2.25, "train_cpu_s": 2, "latency_ms": 0.5, "peak_memory_bytes": 123456789}


def returned(folder: Path, manifest: Manifest = MANIFEST) -> dict[str, Any]:
    """Write an honest return: two runs finished, one was stopped by its budget."""
    runs = []
    for run in manifest.inputs.runs:
        content = f"weights of {run.name}".encode()
        done: dict[str, Any] = {
            "name": run.name,
            "arm": run.arm,
            "pair": run.pair,
            "spec": run.spec,
            "seed": run.seed,
            "status": "finished",
            "reason": "",
            "steps": 90,
            "items": 90 * 32,
            "loss_first": 5.5,
            "loss_last": 2.25,
            "curve": [[step, 2.25 + (90 - step) / 32] for step in range(2, 91, 2)],
            "validation": {"accuracy": 0.5, "bits": 2.75},
            "parameters": 1000,
            "weights": hashlib.sha256(content).hexdigest(),
            "weights_bytes": len(content),
            "law_violations": [],
            "timing": dict(TIMING),
        }
        if run.name == "child-1":
            done |= {"status": "stopped", "reason": "wall_s", "steps": 44, "items": 44 * 32, "weights": ""}
            done |= {"weights_bytes": 0, "curve": done["curve"][:22], "timing": {"wall_s": 1.5}}
            done["loss_last"] = done["curve"][-1][1]
        else:
            (folder / f"{run.name}.safetensors").write_bytes(content)
        runs.append(done)
    return {
        "schema_version": 1,
        "manifest": manifest_digest(manifest.inputs),
        "nonce": manifest.envelope.nonce,
        "runs": runs,
        "rungs": [],
        "environment": dict(ENVIRONMENT),
        "fingerprint": digest(ENVIRONMENT),
        "isolation": "bubblewrap",
        "timing": {"started_at": "2026-11-21T01:40:00Z", "wall_s": 7.25},
    }


def read(folder: Path, data: Any) -> Returned:
    content = data if isinstance(data, bytes) else (json.dumps(data, sort_keys=True) + "\n").encode()
    (folder / "results.json").write_bytes(content)
    return read_results(folder, MANIFEST, COSTS)


def test_an_honest_return_is_read(tmp_path: Path) -> None:
    data = returned(tmp_path)
    answer = read(tmp_path, data)
    assert [run.name for run in answer.results.runs] == ["control-0", "child-0", "child-1"]
    assert set(answer.weights) == {"control-0", "child-0"}
    assert answer.results.runs[2].reason == "wall_s"
    assert answer.digest == hashlib.sha256((tmp_path / "results.json").read_bytes()).hexdigest()


ACCEPTED: list[Callable[[dict[str, Any]], Any]] = [
    lambda data: data["runs"].reverse(),
    lambda data: data["runs"][0].update(loss_first=1e30),
    lambda data: data["runs"][0].update(curve=[[step, 1] for step in range(2, 91, 2)], loss_last=1),
    lambda data: data["runs"][2].update(curve=[], loss_first=0.0, loss_last=0.0),
    lambda data: data["runs"][2].update(curve=data["runs"][2]["curve"][:21], loss_last=3.75),
    lambda data: data["runs"][0]["validation"].update(accuracy=1),
    lambda data: data["runs"][0]["validation"].update(accuracy=0.0, bits=0.0),
    lambda data: data["runs"][0]["timing"].update(peak_memory_bytes=0),
    lambda data: data["runs"][2].update(status="failed", reason="RuntimeError: x"),
    lambda data: data["runs"][2].update(status="failed", reason="broke a law", law_violations=["network: connect"]),
    lambda data: data["runs"][2].update(steps=0, items=0, curve=[], parameters=0, timing={}),
    lambda data: data.update(isolation=""),
    lambda data: data["timing"].update(wall_s=0),
]


@pytest.mark.parametrize("change", ACCEPTED)
def test_what_an_honest_trainer_may_say_is_accepted(tmp_path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = returned(tmp_path)
    change(data)
    assert len(read(tmp_path, data).results.runs) == 3


def test_runs_that_did_not_finish_have_no_weights_to_tell_apart(tmp_path: Path) -> None:
    data = returned(tmp_path)
    (tmp_path / "child-0.safetensors").unlink()
    data["runs"][1].update(status="stopped", reason="wall_s", weights="", weights_bytes=0)
    assert set(read(tmp_path, data).weights) == {"control-0"}


def test_the_trainers_own_notes_may_lie_beside_and_are_not_read(tmp_path: Path) -> None:
    data = returned(tmp_path)
    (tmp_path / "child-0.json").write_bytes(b"\xff not even json")
    (tmp_path / "progress.json").write_bytes(b"")
    (tmp_path / "rungs.json").write_bytes(b"[")
    (tmp_path / ".child-1.safetensors.part").write_bytes(b"half")
    assert read(tmp_path, data)


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, dict):
        return [path] * bool(path) + [leaf for key, value in data.items() for leaf in leaves(value, (*path, key))]
    if isinstance(data, list):
        return [path] + [leaf for index, value in enumerate(data) for leaf in leaves(value, (*path, index))]
    return [path]


def put(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(data)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def test_every_field_changed_to_something_else_is_refused(tmp_path: Path) -> None:
    """Each field of an honest document gets values of a wrong type or kind: well over 300 forgeries, none accepted."""
    data = returned(tmp_path)
    read(tmp_path, data)
    forged = 0
    for path in [path for path in leaves(data) if path[2:3] != ("curve",) or path[3:4] in ((), (0,))]:
        for value in (None, True, "\x00", [[]], {"$ref": "x"}, -1, 10**400):
            forged += 1
            with pytest.raises(AamsError):
                read(tmp_path, put(data, path, value))
                pytest.fail(f"accepted {value!r} at {path}")
    assert forged > 300


def test_every_missing_and_every_additional_key_is_refused(tmp_path: Path) -> None:
    data = returned(tmp_path)
    objects: list[tuple[Any, ...]] = [(), ("environment",), ("timing",), ("runs", 0), ("runs", 0, "validation")]
    for path in objects:
        place = data
        for step in path:
            place = place[step]
        for key in place:
            less = {name: value for name, value in place.items() if name != key}
            with pytest.raises(ResultError):
                read(tmp_path, put(data, path, less) if path else less)
        with pytest.raises(ResultError, match="unknown key"):
            read(tmp_path, put(data, (*path, "promote"), True))


EVERY_SECOND = r"curve: must be \[step, loss\] at every 2 of 90 steps"
FORGED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another manifest": (lambda data: data.update(manifest="e" * 64), "manifest: must be"),
    "another nonce": (lambda data: data.update(nonce="e" * 64), "nonce: must be"),
    "a run left out": (lambda data: data["runs"].pop(), "runs: must be"),
    "a run twice": (lambda data: data["runs"].append(data["runs"][0]), "runs: must be"),
    "an additional run": (lambda data: data["runs"].append({**data["runs"][0], "name": "child-2"}), "runs: must be"),
    "another seed": (lambda data: data["runs"][0].update(seed=99), "runs.control-0.seed: must be 11"),
    "another pair": (lambda data: data["runs"][1].update(pair=1), "runs.child-0.pair: must be 0"),
    "another arm": (lambda data: data["runs"][1].update(arm="control"), "runs.child-0.arm: must be child"),
    "another spec": (lambda data: data["runs"][1].update(spec=CONTROL), "runs.child-0.spec"),
    "the arms swapped": (
        lambda data: (data["runs"][0].update(name="child-0"), data["runs"][1].update(name="control-0")),
        "arm",
    ),
    "more steps": (lambda data: data["runs"][1].update(steps=91), "runs.child-0.steps: must be at most the planned"),
    "fewer steps": (lambda data: data["runs"][1].update(steps=89, curve=[]), "must be the planned 90 of a finished"),
    "more items": (lambda data: data["runs"][1].update(items=90 * 32 + 1), "items: must be 32 for each step"),
    "fewer items": (lambda data: data["runs"][1].update(items=1), "items: must be 32 for each step"),
    "more parameters": (lambda data: data["runs"][1].update(parameters=1001), "must be the 1000 of the cost model"),
    "a status of its own": (lambda data: data["runs"][1].update(status="promoted"), "status: must be one of"),
    "a reason for nothing": (lambda data: data["runs"][1].update(reason="better"), "reason: must be given exactly"),
    "no reason": (lambda data: data["runs"][2].update(reason=""), "reason: must be given exactly"),
    "a reason with a line break": (lambda data: data["runs"][2].update(reason="a\n::error::"), "short plain text"),
    "a reason without end": (lambda data: data["runs"][2].update(reason="x" * 301), "short plain text"),
    "a reason that is markup": (lambda data: data["runs"][2].update(reason="\u202ex"), "short plain text"),
    "accuracy beyond 1": (lambda data: data["runs"][1]["validation"].update(accuracy=1.0000001), r"lie in \[0, 1\]"),
    "a law broken and finished": (lambda data: data["runs"][1].update(law_violations=["write: x"]), "must be none"),
    "laws without end": (lambda data: data["runs"][2].update(law_violations=["x"] * 101), "must be at most 100"),
    "a law with an escape": (lambda data: data["runs"][2].update(law_violations=["\x1b[2J"]), "short plain texts"),
    "a curve without end": (lambda data: data["runs"][1].update(curve=[[n, 1] for n in range(65)]), EVERY_SECOND),
    "a curve that falls back": (lambda data: data["runs"][1].update(curve=[[4, 1], [2, 1]]), EVERY_SECOND),
    "a curve beyond its run": (lambda data: data["runs"][1]["curve"].append([92, 1]), EVERY_SECOND),
    "a curve beyond where it stopped": (lambda data: data["runs"][2]["curve"].append([46, 1]), EVERY_SECOND),
    "a curve of threes": (lambda data: data["runs"][1].update(curve=[[2, 1, 1]]), EVERY_SECOND),
    "a curve and a bit": (lambda data: data["runs"][1]["curve"].append([]), EVERY_SECOND),
    "a curve and a number": (lambda data: data["runs"][1]["curve"].append([92]), EVERY_SECOND),
    "a curve between steps": (lambda data: data["runs"][1]["curve"][0].__setitem__(0, 1.5), EVERY_SECOND),
    "a curve with a gap": (lambda data: data["runs"][1]["curve"].pop(3), EVERY_SECOND),
    "no curve": (lambda data: data["runs"][1].update(curve=[]), EVERY_SECOND),
    "a finished curve without its end": (
        lambda data: (data["runs"][1]["curve"].pop(), data["runs"][1].update(loss_last=2.3125)),
        EVERY_SECOND,
    ),
    "a loss below nothing": (lambda data: data["runs"][1]["curve"][7].__setitem__(1, -0.1), "not negative"),
    "another last loss": (lambda data: data["runs"][1].update(loss_last=2.0), "loss_last: must be the last"),
    "more seconds than there are": (lambda data: data["runs"][1]["timing"].update(cpu_s=1.7e308), "timing: must be"),
    "more memory than there is": (
        lambda data: data["runs"][1]["timing"].update(peak_memory_bytes=2**53 + 1),
        "timing: must be",
    ),
    "an age of training": (lambda data: data["timing"].update(wall_s=1e300), "timing.wall_s: must be from 0"),
    "another digest": (lambda data: data["runs"][1].update(weights="e" * 64), "should have the SHA-256 eeee"),
    "the digests swapped": (
        lambda data: [
            run.update(weights=other)
            for run, other in zip(data["runs"], [data["runs"][1]["weights"], data["runs"][0]["weights"]], strict=False)
        ],
        "control-0.safetensors: should have the SHA-256",
    ),
    "one run's weights for two": (
        lambda data: data["runs"][1].update(
            weights=data["runs"][0]["weights"], weights_bytes=data["runs"][0]["weights_bytes"]
        ),
        "runs.child-0.weights: must be its own, not those of control-0",
    ),
    "the champion's weights": (
        lambda data: data["runs"][1].update(weights="d" * 64),
        "runs.child-0.weights: must be its own, not those of the champion G000; got dddd",
    ),
    "a digest of a path": (lambda data: data["runs"][1].update(weights="../" * 21 + "x"), "must be a SHA-256 digest"),
    "another length": (lambda data: data["runs"][1].update(weights_bytes=1), "must be the 1 bytes"),
    "weights unfinished": (lambda data: data["runs"][2].update(weights="e" * 64), "must be empty unless"),
    "finished unfinished": (
        lambda data: data["runs"][1].update(status="failed", reason="x", weights="", weights_bytes=0),
        "child-0.safetensors: is not a file that",
    ),
    "another fingerprint": (lambda data: data.update(fingerprint="e" * 64), "fingerprint: must be"),
    "an environment edited": (lambda data: data["environment"].update(torch="9.9"), "fingerprint: must be"),
    "no threads": (
        lambda data: (
            data["environment"].update(threads=0),
            data.update(fingerprint=digest(data["environment"])),
        ),
        "threads: must be at least 1",
    ),
    "an isolation with markup": (lambda data: data.update(isolation="\u2028"), "short plain text"),
    "another day": (lambda data: data["timing"].update(started_at="yesterday"), "must be UTC"),
    "a timing of its own": (lambda data: data["runs"][1]["timing"].update(karma=1), "timing: must be of"),
    "a timing left out": (lambda data: data["runs"][1]["timing"].pop("cpu_s"), "must be whole"),
    "a negative timing": (lambda data: data["runs"][1]["timing"].update(cpu_s=-0.1), "must be from 0"),
    "a run dropped": (
        lambda data: data["runs"][2].update(status="dropped", reason="rung 25 %: place 3 of 4"),
        "runs.child-1: must be dropped exactly where its rung drops it",
    ),
    "a rung nobody planned": (
        lambda data: data.update(rungs=[{"percent": 25, "ranks": [], "kept": []}]),
        "rungs: must be those of the manifest",
    ),
    "another version": (lambda data: data.update(schema_version=2), "schema_version: must be 1"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_document_is_refused_by_name(tmp_path: Path, name: str) -> None:
    change, complaint = FORGED[name]
    data = returned(tmp_path)
    change(data)
    with pytest.raises(ResultError, match=complaint):
        read(tmp_path, data)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"schema_version": 1, "schema_version": 1}',
        b'{"schema_version": NaN}',
        b"[" * 1000,
        b"{" + b" " * (4 * 1024 * 1024) + b"}",
    ],
)
def test_what_is_no_results_file_is_refused(tmp_path: Path, content: bytes) -> None:
    returned(tmp_path)
    with pytest.raises(AamsError, match=r"results\.json"):
        read(tmp_path, content)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_everywhere(tmp_path: Path, number: str) -> None:
    data = returned(tmp_path)
    for path in [("runs", 1, "loss_last"), ("runs", 1, "validation", "accuracy"), ("timing", "wall_s")]:
        text = json.dumps(put(data, path, "HERE")).replace('"HERE"', number)
        with pytest.raises(ResultError, match="not strict JSON"):
            read(tmp_path, text.encode())


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "child-0.safetensors").unlink(), "child-0.safetensors: is missing"),
        (lambda folder: (folder / "child-0.safetensors").write_bytes(b"x"), "should have the SHA-256"),
        (lambda folder: (folder / "child-1.safetensors").write_bytes(b"x"), "child-1.safetensors: is not a file"),
        (lambda folder: (folder / "model.py").write_bytes(b"x"), "model.py: is not a file"),
        (lambda folder: (folder / "child-9.json").write_bytes(b"x"), "child-9.json: is not a file"),
        (lambda folder: (folder / "sub").mkdir(), "sub: is not a file"),
        (lambda folder: (folder / "child-0.safetensors").rename(folder / "control-0.safetensors"), "is missing"),
    ],
)
def test_a_folder_with_other_files_is_refused(tmp_path: Path, damage: Any, complaint: str) -> None:
    data = returned(tmp_path)
    damage(tmp_path)
    with pytest.raises(ResultError, match=complaint):
        read(tmp_path, data)


def test_weights_that_are_a_link_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    data = returned(folder)
    target = (folder / "child-0.safetensors").rename(tmp_path / "elsewhere")
    (folder / "child-0.safetensors").symlink_to(target)
    with pytest.raises(AamsError, match="is a symbolic link"):
        read(folder, data)


def test_results_of_another_dispatch_are_refused(tmp_path: Path) -> None:
    again = freeze(MANIFEST.inputs, replace(MANIFEST.envelope, nonce="1" * 64))
    data = returned(tmp_path, again)
    with pytest.raises(ResultError, match="nonce: must be"):
        read(tmp_path, data)


def test_a_missing_results_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AamsError, match="can't be read"):
        read_results(tmp_path, MANIFEST, COSTS)
