"""A second training elsewhere is held against the losses that were archived, the sealed child's among them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aams.reproduction import compare
from safety.events import RunSummary, Trained

UNKNOWN: Any = [None] * 5
RUNS = (
    RunSummary("child-0", "child", 0, "", "finished", "", *UNKNOWN, 0, None, None, ()),
    RunSummary("control-0", "control", 0, "b" * 64, "finished", "", 4, 16, 0.5, 2.0, 2.0, 0, 0.1, 9, ()),
)
WEIGHTS = {run.name: "1" * 64 for run in RUNS}
TRAINED = Trained("attempt", 0, "3" * 64, RUNS, WEIGHTS, "none", "7" * 64, 900, 1.0, 1.0)


def again(fingerprint: str = "8" * 64, weights: str = "2" * 64, **losses: float) -> Any:
    runs = [SimpleNamespace(name=n, status="finished", weights=weights, loss_last=loss) for n, loss in losses.items()]
    return SimpleNamespace(results=SimpleNamespace(runs=runs, fingerprint=fingerprint))


def named(child: float, control: float) -> dict[str, float]:
    return {"child-0": child, "control-0": control}


@pytest.mark.parametrize(
    ("child", "control", "same"), [(1.0, 2.0, True), (1.04, 1.92, True), (1.06, 2.0, False), (1.0, 1.8, False)]
)
def test_on_another_machine_every_runs_last_loss_is_compared(child: float, control: float, same: bool) -> None:
    found = compare(again(**named(child, control)), TRAINED, named(1.0, 2.0))
    assert (found.same_bytes, found.same) == (False, same)
    assert "another kind of machine" in found.sentence


def test_a_run_that_finishes_only_once_is_not_reproduced() -> None:
    found = compare(again(**{"control-0": 2.0}), TRAINED, named(1.0, 2.0))
    assert not found.same and found.sentence.endswith("finished once and failed once: child-0")


def test_on_an_equal_machine_only_equal_bytes_count() -> None:
    assert compare(again("7" * 64, "1" * 64, **named(1.0, 2.0)), TRAINED, {}).same_bytes
    assert not compare(again("7" * 64, **named(1.0, 2.0)), TRAINED, named(1.0, 2.0)).same
