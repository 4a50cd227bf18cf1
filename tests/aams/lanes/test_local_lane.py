"""What the local lane owes beside: it confines, keeps what finished, gives nothing away and ends with its command."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aams import confine
from aams.confine import isolation
from aams.errors import LaneError
from aams.lanes import LANES, Report, train
from aams.lanes.base import is_event
from safety.contract import CONTRACT_PATH, load_contract
from tests.aams.lanes.bundles import packed, scripted

CONTRACT = load_contract(Path(__file__).parents[3] / CONTRACT_PATH)


def run(archive: Path, place: Path, report: Report = lambda event: None) -> Path:
    """Train a bundle to its end; the folder with the results."""
    return train(LANES["local"](place, CONTRACT), archive, place / "returned", report)


def results_of(returned: Path) -> Any:
    return json.loads((returned / "results.json").read_bytes())


def test_called_again_it_trains_only_what_is_missing(tmp_path: Path) -> None:
    archive, _ = packed(tmp_path)
    returned = run(archive, tmp_path)
    before = results_of(returned)
    assert before["isolation"] == confine.isolation()
    kept, lost = (returned / f"{name}.safetensors" for name in ("child-0", "control-0"))
    written = kept.stat().st_mtime_ns
    lost.unlink()
    (returned / "results.json").unlink()
    (tmp_path / "bundle" / "models" / "left-over.py").write_text("raise SystemExit")
    events: list[Mapping[str, Any]] = []
    again = results_of(run(archive, tmp_path, events.append))
    assert {event["run"] for event in events if event["event"] == "step"} <= {"control-0"}
    assert kept.stat().st_mtime_ns == written
    assert [run["weights"] for run in again["runs"]] == [run["weights"] for run in before["runs"]], "equal bytes"


def test_no_secret_of_this_process_reaches_the_trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "secret-7351")
    monkeypatch.setenv("GITHUB_TOKEN", "secret-7351")
    archive = scripted(
        tmp_path, "(out / 'seen.json').write_text(json.dumps([dict(os.environ), sys.argv, os.getcwd()]))"
    )
    seen = (run(archive, tmp_path) / "seen.json").read_text()
    assert "secret-7351" not in seen
    assert str(Path.home()) not in json.loads(seen)[0].get("HOME", "")


def test_the_trainer_writes_into_its_own_folder_only(tmp_path: Path) -> None:
    if confine.isolation() in ("unshare", "none"):
        pytest.skip("nothing here keeps a process from writing where its user may")
    source = (
        "try:\n    (out.parent / 'bundle' / 'escaped').write_text('x')\nexcept OSError:\n    pass\n"
        "(out / 'here').write_text('x')"
    )
    returned = run(scripted(tmp_path, source), tmp_path)
    assert (returned / "here").exists()
    assert not list(tmp_path.rglob("escaped"))


def test_nothing_is_trained_where_no_accepted_confinement_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "_way", lambda kind: None)
    archive = scripted(tmp_path, "(out / 'ran').write_text('x')")
    with pytest.raises(LaneError, match=r"can't confine as the contract wants; got bubblewrap, landlock\+unshare"):
        run(archive, tmp_path)
    assert not list(tmp_path.rglob("ran"))


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
def test_a_trainer_that_fails_is_told_in_one_sentence(tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(LaneError, match=complaint) as failure:
        run(scripted(tmp_path, source), tmp_path)
    assert "the trainer ended without results" in str(failure.value)
    assert "run the same command again" in str(failure.value)
    assert len(str(failure.value)) < 600


def test_what_finished_before_a_failure_is_kept(tmp_path: Path) -> None:
    source = "first = not (out / 'tried').exists()\n(out / 'tried').write_text('x')\nsys.exit(1 if first else 0)"
    archive = scripted(tmp_path, source)
    with pytest.raises(LaneError):
        run(archive, tmp_path)
    assert (run(archive, tmp_path) / "tried").exists()


def test_an_interruption_ends_the_trainer_and_goes_up(tmp_path: Path) -> None:
    source = (
        "signal.signal(signal.SIGTERM, lambda *_: ((out / 'asked').write_text('x'), sys.exit(130)))\n"
        'print(\'{"event": "start", "runs": 2, "steps": 6}\', flush=True)\ntime.sleep(60)'
    )

    def interrupt(event: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(scripted(tmp_path, source), tmp_path, interrupt)
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


def test_results_that_a_killed_command_has_brought_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "returned").mkdir()
    assert run(scripted(tmp_path, "sys.exit(7)"), tmp_path) == tmp_path / "returned"


@pytest.mark.parametrize(
    "printed",
    [
        {"event": "step"},
        {"event": "step", "run": "a", "step": "1", "steps": 2, "loss": 1.0, "items_per_s": 1.0},
        {"event": "step", "run": "a", "step": 1, "steps": 2, "loss": None, "items_per_s": 1.0},
        {"event": "done"},
        {"event": "done", "run": 1, "status": "finished"},
        {"event": "start", "runs": True, "steps": 1},
        {"event": {}},
        {"event": "paused"},
    ],
    ids=json.dumps,
)
def test_what_looks_like_an_event_and_can_not_be_shown_is_none(printed: Any) -> None:
    assert not is_event(printed)
