from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aams.cycle.desk import scored
from aams.errors import ResultError
from aams.records import Run
from evaluator.holdout import RunScore, Split

GOOD = {"splits": {"validation": {"accuracy": [1.0], "nats": [0.0], "mean_probability": [1.0]}}}
DEAD = {"error": "the process was ended by SIGSEGV"}
CONTROL = Run("control-0", "control", 0, "a" * 64, 1, 90)
CHILD = Run("child-0", "child", 0, "b" * 64, 2, 90)


def ask(*answers: dict[str, Any]) -> list[RunScore | ResultError]:
    runs = [CONTROL, CHILD]
    desk: Any = SimpleNamespace(
        lab=SimpleNamespace(worker=SimpleNamespace(ask_all=lambda jobs: list(answers))),
        dispatch=SimpleNamespace(manifest=SimpleNamespace(inputs=SimpleNamespace(domain="vision"))),
        models={run.spec: Path("model.py") for run in runs},
    )
    returned: Any = SimpleNamespace(weights={run.name: Path(run.name) for run in runs})
    return scored(desk, returned, runs, lambda run: {"validation": Split(Path("v.safetensors"), 0, 1)})


def test_a_child_that_ends_its_process_has_no_score_and_the_control_has_one() -> None:
    control, child = ask(GOOD, DEAD)
    assert isinstance(control, RunScore)
    assert isinstance(child, ResultError)
    assert "child-0 can't be evaluated; got the process was ended by SIGSEGV" in str(child)


def test_a_control_that_ends_its_process_has_no_score_either() -> None:
    control, child = ask(DEAD, GOOD)
    assert "control-0 can't be evaluated" in str(control)
    assert isinstance(child, RunScore)
