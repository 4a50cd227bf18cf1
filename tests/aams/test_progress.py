from __future__ import annotations

from typing import Any

import pytest

from aams.commands.progress import training_progress


def step(run: str, left_s: Any) -> dict[str, Any]:
    return {"event": "step", "run": run, "step": 1, "steps": 2, "loss": 2.5, "items_per_s": 9.0, "left_s": left_s}


@pytest.mark.parametrize(
    ("left_s", "words"),
    [(0.4, " (0 s left)"), (99.4, " (99 s left)"), (100.0, " (2 min left)"), (7200, " (120 min left)"), (None, "")],
)
def test_a_run_that_ended_is_one_line_with_the_time_left(
    left_s: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with training_progress("training the trials", 2, quiet=False) as report:
        report({"event": "start", "runs": 2, "steps": 4})
        report(step("child-0", left_s))
        report({"event": "done", "run": "child-0", "status": "dropped", "reason": "rung 25 %: place 2 of 2"})
        report({"event": "done", "run": "child-1", "status": "finished", "reason": ""})
    assert capsys.readouterr().err.splitlines() == [
        "training the trials: 2 runs",
        f"  1/2 child-0: dropped, loss 2.500{words}",
        "  2/2 child-1: finished",
    ]


def test_nothing_is_shown_where_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress("training", 2, quiet=True) as report:
        report(step("child-0", 1.0))
    assert capsys.readouterr() == ("", "")
