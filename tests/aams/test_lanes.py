"""What every lane owes: a bundle goes in, what was trained comes out, and nothing else of this machine."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from aams import bundle, confine
from aams.canonical import digest, sha256, to_data
from aams.confine import isolation
from aams.errors import AamsError, LaneError
from aams.lanes import LANES, Lane, Returned
from aams.records import Budget, Envelope, Inputs, Manifest, Run
from safety.manifest import freeze

MODEL = b"""\
from torch import nn


class Model(nn.Module):
    context = 8

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 4)
        self.head = nn.Linear(4, 256)

    def forward(self, tokens):
        return self.head(self.embed(tokens))
"""
SPEC = sha256(MODEL)
RECIPE = {
    "optimizer": {"op": "sgd", "lr": 0.01, "momentum": 0.0, "weight_decay": 0.0},
    "schedule": {"op": "constant", "warmup": 0.0},
    "batch_tokens": 32,
    "clip": 0.0,
    "label_smoothing": 0.0,
    "precision": "fp32",
}


@pytest.fixture(params=LANES, scope="module")
def lane(request: pytest.FixtureRequest) -> Lane:
    return LANES[request.param]


def silent(event: Mapping[str, Any]) -> None:
    """Take progress and say nothing."""


def packed(place: Path, trainer: Mapping[str, bytes]) -> tuple[Path, Manifest]:
    """A bundle of two runs, three steps each, with a trainer of one's choice."""
    tokens = np.frombuffer(b"the quick brown fox jumps over the lazy dog. " * 8, dtype=np.uint8)
    tree = {"schema_version": 1, "domain": "language", "model": {}, "training": RECIPE}
    files = {
        f"specs/{SPEC}.json": json.dumps(tree).encode(),
        f"models/{SPEC}.py": MODEL,
        "data/train.safetensors": save({"tokens": tokens.copy()}),
        "data/validation.safetensors": save({"tokens": tokens[:34].reshape(2, 17).copy()}),
        **trainer,
    }
    inputs = Inputs(
        schema_version=1,
        cycle="language-conformance",
        stage="attempt",
        batch=0,
        domain="language",
        generation="G001",
        sealed="5" * 64,
        parent="G000",
        parent_weights="",
        corpus="small",
        digests={},
        files=bundle.digests(files),
        runs=(Run("child-0", "child", 0, SPEC, 11, 3), Run("control-0", "control", 0, SPEC, 12, 3)),
        rungs=(),
        compute_flops=1000,
        budget=Budget(items=1000, steps=10, memory_bytes=2**31, wall_s=60, disk_bytes=2**22),
        confinement=confine.ISOLATIONS,
    )
    manifest = freeze(inputs, Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""))
    return bundle.pack(manifest, files, place), manifest


def scripted(place: Path, source: str) -> Path:
    """A bundle whose trainer is a few lines that never import torch."""
    head = "import json, os, signal, sys, time\nfrom pathlib import Path\nout = Path(sys.argv[2])\n"
    return packed(place, {"trainer/__main__.py": (head + source).encode()})[0]


Trained = tuple[Manifest, Path, Returned, list[Mapping[str, Any]]]


@pytest.fixture(scope="module")
def trained(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The real trainer's work: manifest, work folder, what the lane handed back, and the events it reported."""
    work = tmp_path_factory.mktemp("work")
    own = {f"trainer/{path.name}": path.read_bytes() for path in bundle.TRAINER.glob("*.py")}
    archive, manifest = packed(work, own)
    events: list[Mapping[str, Any]] = []
    return manifest, work, lane.train(archive, work, events.append), events


def results_of(returned: Returned) -> Any:
    return json.loads((returned.directory / "results.json").read_bytes())


def test_a_lane_is_listed_under_its_own_name(lane: Lane) -> None:
    assert LANES[lane.NAME] is lane
    assert re.fullmatch("[a-z][a-z0-9-]*", lane.NAME)


def test_every_run_comes_back_bound_to_its_manifest(trained: Trained) -> None:
    manifest, _, returned, _ = trained
    results = results_of(returned)
    assert (results["manifest"], results["nonce"]) == (digest(to_data(manifest.inputs)), manifest.envelope.nonce)
    assert [run["name"] for run in results["runs"]] == ["child-0", "control-0"]
    for run in results["runs"]:
        assert (run["status"], run["steps"]) == ("finished", 3), run["reason"]
        weights = returned.directory / f"{run['name']}.safetensors"
        assert sha256(weights.read_bytes()) == run["weights"]
        assert sum(array.size for array in load_file(weights).values()) == run["parameters"] == 2304


def test_the_isolation_on_record_is_the_one_in_force(trained: Trained) -> None:
    _, _, returned, _ = trained
    assert returned.isolation == confine.isolation()
    assert results_of(returned)["isolation"] == returned.isolation


def test_progress_tells_of_every_run(trained: Trained) -> None:
    events = trained[3]
    assert (events[0]["event"], events[0]["runs"]) == ("start", 2)
    done = {event["run"]: event["status"] for event in events if event["event"] == "done"}
    assert done == {"child-0": "finished", "control-0": "finished"}


def test_called_again_it_trains_only_what_is_missing(lane: Lane, trained: Trained) -> None:
    _, work, returned, _ = trained
    before = results_of(returned)
    kept, lost = (returned.directory / f"{name}.safetensors" for name in ("child-0", "control-0"))
    written = kept.stat().st_mtime_ns
    lost.unlink()
    (returned.directory / "results.json").unlink()
    (work / "bundle" / "models" / "left-over.py").write_text("raise SystemExit")
    (archive,) = work.glob("*.zip")
    events: list[Mapping[str, Any]] = []
    again = results_of(lane.train(archive, work, events.append))
    assert {event["run"] for event in events if event["event"] == "step"} <= {"control-0"}
    assert kept.stat().st_mtime_ns == written
    assert [run["weights"] for run in again["runs"]] == [run["weights"] for run in before["runs"]], "equal bytes"


def test_no_secret_of_this_process_reaches_the_trainer(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "secret-7351")
    monkeypatch.setenv("GITHUB_TOKEN", "secret-7351")
    archive = scripted(
        tmp_path, "(out / 'seen.json').write_text(json.dumps([dict(os.environ), sys.argv, os.getcwd()]))"
    )
    seen = (lane.train(archive, tmp_path, silent).directory / "seen.json").read_text()
    assert "secret-7351" not in seen
    assert str(Path.home()) not in json.loads(seen)[0].get("HOME", "")


def test_the_trainer_writes_into_its_own_folder_only(lane: Lane, tmp_path: Path) -> None:
    if confine.isolation() in ("unshare", "none"):
        pytest.skip("nothing here keeps a process from writing where its user may")
    source = (
        "try:\n    (out.parent / 'bundle' / 'escaped').write_text('x')\nexcept OSError:\n    pass\n"
        "(out / 'here').write_text('x')"
    )
    returned = lane.train(scripted(tmp_path, source), tmp_path, silent)
    assert (returned.directory / "here").exists()
    assert not list(tmp_path.rglob("escaped"))


def test_nothing_is_trained_where_no_accepted_confinement_works(
    lane: Lane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lane.NAME != "local":
        pytest.skip("another machine's confinement is checked when its results are in")
    monkeypatch.setattr(confine, "_way", lambda kind: None)
    archive = scripted(tmp_path, "(out / 'ran').write_text('x')")
    with pytest.raises(LaneError, match=r"can't confine as the contract wants; got bubblewrap, landlock\+unshare"):
        lane.train(archive, tmp_path, silent)
    assert not list(tmp_path.rglob("ran"))


def test_noise_on_the_trainers_stdout_is_no_progress(lane: Lane, tmp_path: Path) -> None:
    source = (
        "for line in ('hello', '{', '[1]', 'null', '{\"event\": 1}', '{\"event\": [\"start\"]}', '\\x1b[31m'):\n"
        "    print(line)\n"
        "sys.stdout.buffer.write(b'\\xff\\xfe\\n')\n"
        'print(\'{"event": "start", "runs": 2, "steps": 6}\', end=\'\')'
    )
    events: list[Mapping[str, Any]] = []
    lane.train(scripted(tmp_path, source), tmp_path, events.append)
    assert events == [{"event": "start", "runs": 2, "steps": 6}]


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("sys.exit('no space left for me')", r"no space left for me \(exit status 1\)"),
        ("sys.exit(7)", "got exit status 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL|exit status 137"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 1)", "signal|exit status"),
        ("sys.stderr.buffer.write(b'\\xff\\x1b[31m\\n' * 100_000); sys.exit(1)", "exit status 1"),
    ],
    ids=["sentence", "silent", "killed", "odd-signal", "noisy"],
)
def test_a_trainer_that_fails_is_told_in_one_sentence(lane: Lane, tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(LaneError, match=complaint) as failure:
        lane.train(scripted(tmp_path, source), tmp_path, silent)
    assert "the trainer ended without results" in str(failure.value)
    assert "run the same command again" in str(failure.value)
    assert len(str(failure.value)) < 600


def test_what_finished_before_a_failure_is_kept(lane: Lane, tmp_path: Path) -> None:
    source = "first = not (out / 'tried').exists()\n(out / 'tried').write_text('x')\nsys.exit(1 if first else 0)"
    archive = scripted(tmp_path, source)
    with pytest.raises(LaneError):
        lane.train(archive, tmp_path, silent)
    assert (lane.train(archive, tmp_path, silent).directory / "tried").exists()


def test_a_changed_bundle_is_refused_before_anything_runs(lane: Lane, tmp_path: Path) -> None:
    archive = scripted(tmp_path, "(out / 'ran').write_text('x')")
    archive.write_bytes(archive.read_bytes().replace(b"'ran'", b"'run'"))
    with pytest.raises(AamsError, match="is not a readable bundle"):
        lane.train(archive, tmp_path, silent)
    assert not list(tmp_path.rglob("r?n"))


def test_an_interruption_ends_the_trainer_and_goes_up(lane: Lane, tmp_path: Path) -> None:
    source = (
        "signal.signal(signal.SIGTERM, lambda *_: ((out / 'asked').write_text('x'), sys.exit(130)))\n"
        'print(\'{"event": "start", "runs": 2, "steps": 6}\', flush=True)\ntime.sleep(60)'
    )

    def interrupt(event: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lane.train(scripted(tmp_path, source), tmp_path, interrupt)
    deadline = time.monotonic() + 5  # what is in bubblewrap's namespace dies a moment after it
    while running(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running(tmp_path) == []
    if isolation() != "bubblewrap":  # whose death takes its children with it at once; finished runs are on disk then
        assert list(tmp_path.rglob("asked")), "it was asked first, so that it can put finished runs away"


def running(place: Path) -> list[str]:
    """Numbers of other processes whose command line names a folder."""
    found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(place) in read_loosely(path)]
    return [path.parent.name for path in found if path.parent.name != str(os.getpid())]


def read_loosely(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
