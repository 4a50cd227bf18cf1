from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aams.cycle.approval import conclude
from aams.records import Criterion, Outcome
from safety.events import Verdict

PASSED, FAILED = (Criterion("recall", 0.8, ">=", bound, bound < 0.8) for bound in (0.75, 0.85))


def concluded(outcome: Outcome, criteria: tuple[Criterion, ...], reasons: tuple[str, ...], placebo: bool) -> Any:
    """How the cycle of such a verdict is closed: outcome and reason."""
    verdict = Verdict("G001", "a" * 64, outcome, criteria, reasons, None, None, None, (), "", "e" * 64)
    cycle: Any = SimpleNamespace(
        id="one", domain="language", verdict=outcome, sealed="5" * 64, placebo=placebo, event="approved"
    )
    lab: Any = SimpleNamespace(
        facts=lambda name: [verdict],
        state=SimpleNamespace(open_cycles={"one": cycle}),
        end=lambda name, ending, reason: (ending, reason),
    )
    return conclude(lab, cycle)


@pytest.mark.parametrize(
    "criteria",
    [(FAILED, FAILED), (PASSED, FAILED, FAILED), (FAILED, PASSED, FAILED), (FAILED, PASSED, PASSED, FAILED), ()],
)
def test_a_rejection_is_closed_with_every_reason(criteria: tuple[Criterion, ...]) -> None:
    reasons = ("Recall is low", "Tone drift is high")
    assert concluded("rejected", criteria, reasons, False) == ("rejected", "Recall is low; Tone drift is high")


def test_an_acceptance_is_closed_with_the_first_reason() -> None:
    assert concluded("accepted", (PASSED, PASSED), ("Proven", "Recall"), False) == ("accepted", "Proven")


def test_a_placebo_is_closed_as_one_whatever_the_arbiter_said() -> None:
    disguised = "the child was the champion in disguise; "
    assert concluded("rejected", (PASSED, FAILED), ("Not proven",), True) == ("placebo", disguised + "Not proven")
    assert concluded("accepted", (PASSED, PASSED), ("Proven", "Recall"), True) == ("placebo", disguised + "Proven")
