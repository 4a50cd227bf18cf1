from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aams.commands import progress
from aams.commands.progress import PROGRESS, training_progress


def step(run: str, left_s: Any) -> dict[str, Any]:
    return {"event": "step", "run": run, "step": 1, "steps": 2, "loss": 2.5, "items_per_s": 9.0, "left_s": left_s}


@pytest.mark.parametrize(
    ("left_s", "words"),
    [(0.4, " (0 s left)"), (99.4, " (99 s left)"), (100.0, " (2 min left)"), (7200, " (120 min left)"), (None, "")],
)
def test_a_run_that_ended_is_one_line_with_the_time_left(
    left_s: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress(tmp_path, "training the trials", 2, quiet=False) as report:
        report({"event": "start", "runs": 2, "steps": 4})
        report(step("child-0", left_s))
        report({"event": "done", "run": "child-0", "status": "dropped", "reason": "rung 25 %: place 2 of 2"})
        report({"event": "done", "run": "child-1", "status": "finished", "reason": ""})
    assert capsys.readouterr().err.splitlines() == [
        "training the trials: 2 runs",
        f"  1/2 child-0: dropped, loss 2.500{words}",
        "  2/2 child-1: finished",
    ]


def test_nothing_is_shown_where_json_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress(tmp_path, "training", 2, quiet=True) as report:
        report(step("child-0", 1.0))
    assert capsys.readouterr() == ("", "")


def test_the_page_is_told_while_a_training_lasts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told() -> dict[str, Any]:
        found = json.loads((tmp_path / PROGRESS).read_bytes())
        return {name: value for name, value in found.items() if name not in ("started", "title")}

    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    with training_progress(tmp_path, "training the trials", 2, quiet=True) as report:
        assert told() == {"runs": 2, "finished": 0, "steps": 0, "done_steps": 0}
        report({"event": "start", "runs": 2, "steps": 4})
        report(step("child-0", 1.0))
        report(step("child-1", 1.0))
        assert told() == {"runs": 2, "finished": 0, "steps": 4, "done_steps": 2}
        report({"event": "done", "run": "child-0", "status": "dropped", "reason": "rung 25 %: place 2 of 2"})
        assert told() == {"runs": 2, "finished": 1, "steps": 4, "done_steps": 3}
    assert list((tmp_path / PROGRESS).parent.iterdir()) == []


def test_what_the_page_is_told_is_not_written_more_than_once_a_second(tmp_path: Path) -> None:
    with training_progress(tmp_path, "training", 2, quiet=True) as report:
        before = (tmp_path / PROGRESS).stat().st_ino
        for _ in range(50):
            report(step("child-0", 1.0))
        assert (tmp_path / PROGRESS).stat().st_ino == before


def test_an_interrupted_training_leaves_nothing_for_the_page(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), training_progress(tmp_path, "training", 2, quiet=True):
        raise KeyboardInterrupt
    assert not (tmp_path / PROGRESS).exists()


def test_a_training_goes_on_where_the_page_can_not_be_told(tmp_path: Path) -> None:
    (tmp_path / ".aams").write_bytes(b"in the way")
    with training_progress(tmp_path, "training", 2, quiet=True) as report:
        report(step("child-0", 1.0))
