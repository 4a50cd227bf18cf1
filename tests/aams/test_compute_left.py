"""What is left of the month and of an attempt's time, before anything is taken from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aams.cycle.desk import short_of
from aams.cycle.proposal import freeze
from aams.cycle.rechallenge import confirm
from aams.dispatch import Plan
from aams.errors import AamsError
from aams.records import Cost, Look, Run
from safety.clock import utc_now
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import Looked, Trained
from safety.state import State

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
CONTRACT = replace(CONTRACT, promotion=replace(CONTRACT.promotion, pairs_min=4, pairs_max=10))
COST = Cost(1, 1, 1, 0, 1, 7, 1, 1)
RUNS = [
    Run(f"{arm}-{pair}", arm, pair, "a" * 64, pair, 100)  # type: ignore[arg-type]
    for pair in range(4)
    for arm in ("child", "control")
]
PAIR_FLOPS = 2 * 100 * 7


def lab_with(left: int, *taken_s: float) -> Any:
    trained = [
        Trained("attempt", batch, "", (), {}, "none", "", 0, 0.0, wall_s) for batch, wall_s in enumerate(taken_s)
    ]
    trial = Trained("trial", 0, "", (), {}, "none", "", 0, 0.0, 3599.0)
    months = {utc_now()[:7]: CONTRACT.month.training_flops - left}
    ends: list[tuple[str, str, str]] = []
    return SimpleNamespace(
        state=State(month_flops=months),
        contract=CONTRACT,
        facts=lambda cycle: [trial, *trained],
        time=lambda cycle: utc_now(),
        end=lambda *ended: ends.append(ended),
        ends=ends,
    )


def desk_with(lab: Any, batch: int) -> Any:
    inputs = SimpleNamespace(runs=RUNS, cycle="language-0", stage="attempt", compute_flops=PAIR_FLOPS // 2)
    dispatch = SimpleNamespace(cycle="language-0", batch=batch, manifest=SimpleNamespace(inputs=inputs))
    return SimpleNamespace(lab=lab, dispatch=dispatch, costs={"a" * 64: COST})


def test_a_bundle_that_takes_more_than_is_left_of_the_month_is_never_frozen() -> None:
    plan = Plan("language-0", "attempt", 1, "language", "G001", "", "G000", "", (), tuple(RUNS), 700)
    needed = 4 * PAIR_FLOPS
    prepared: Any = None
    with pytest.raises(
        AamsError, match=f"spoken for; got {needed - 1:,} training FLOPs are left, {needed:,} are needed"
    ):
        freeze(lab_with(needed - 1), plan, {"a" * 64: COST}, prepared)
    with pytest.raises(AttributeError):  # there is nothing to freeze here, but it begins to
        freeze(lab_with(needed), plan, {"a" * 64: COST}, prepared)


@pytest.mark.parametrize(("batch", "pairs"), [(0, 4), (1, 2)])
def test_the_next_pairs_need_their_compute_to_the_flop(batch: int, pairs: int) -> None:
    needed = pairs * PAIR_FLOPS
    assert short_of(desk_with(lab_with(needed, 1.0), batch)) == ""
    missing = "No more pairs can be trained: the month's compute is spoken for, "
    wanted = f"{missing}{needed - 1:,} training FLOPs are left, {needed:,} are needed"
    assert short_of(desk_with(lab_with(needed - 1, 1.0), batch)) == wanted


@pytest.mark.parametrize(
    ("taken_s", "fits"), [((1800,), True), ((1801,), False), ((900, 1500), True), ((2400, 1), False)]
)
def test_the_next_pairs_are_expected_to_take_as_long_as_those_before(taken_s: tuple[float, ...], fits: bool) -> None:
    """The trial's time is its own."""
    found = short_of(desk_with(lab_with(10**9, *taken_s), len(taken_s) - 1))
    words = f"No more pairs can be trained: {sum(taken_s):,} s of the budget's 3,600 s are gone"
    assert found == ("" if fits else words)


def test_a_rechallenge_without_compute_for_its_next_pairs_is_given_up() -> None:
    look = Look(1, 0, 0.05, 2.0, 4, "more", 0.01, -0.1, 0.1)
    looked = Looked("G001", 0, (), (), (), look, "more")
    assert confirm(desk_with(lab_with(10**9, 1.0), 0), looked) is None
    poor = lab_with(0, 1.0)
    confirm(desk_with(poor, 0), looked)
    ((cycle, outcome, reason),) = poor.ends
    assert (cycle, outcome) == ("language-0", "abandoned")
    assert reason.startswith("No more pairs can be trained: the month's compute is spoken for")
