"""How a cycle may close, where it stands, and which event may follow which: every pair is tried."""

from __future__ import annotations

from itertools import product
from typing import Any, get_args

import pytest

from aams.errors import LedgerError
from safety.events import EVENTS, Ending
from safety.lifecycle import SUCCESSORS, Cycle, advance, is_accepted

TRIALS = ("opened", "proposed", "frozen trial", "trained trial")
ATTEMPT = (*TRIALS, "screened", "attempted", "frozen attempt", "trained attempt")
JUDGED = (*ATTEMPT, "looked", "verdict")
PROMOTED = (*JUDGED, "revealed", "approved")
MORE = (*ATTEMPT, "looked more", "frozen attempt 1", "trained attempt 1")
PLACEBO = (*TRIALS, "screened", "attempted placebo", "frozen attempt", "trained attempt", "looked")
ROOT = ("opened root", "attempted root", "frozen root", "trained root")
ROOT_JUDGED = (*ROOT, "looked root", "verdict root")
AGAIN = ("opened rechallenge", "frozen rechallenge", "trained rechallenge")
ROLLBACK = ("opened", "recalled", "approved recall")

ALLOWED_ENDINGS = [
    (("opened",), "nothing-to-try abandoned expired"),
    (TRIALS[:2], "nothing-to-try abandoned expired"),
    (TRIALS[:3], "abandoned expired"),
    (TRIALS, "abandoned expired"),
    ((*TRIALS, "screened"), "explored abandoned expired"),
    ((*TRIALS, "screened failed"), "screened-out abandoned expired"),
    (ATTEMPT[:6], "abandoned expired"),
    (ATTEMPT[:7], "abandoned expired"),
    (ATTEMPT, "abandoned expired"),
    ((*ATTEMPT, "looked"), "abandoned expired"),
    ((*ATTEMPT, "looked more"), "abandoned expired"),
    (JUDGED, "expired"),
    ((*ATTEMPT, "looked", "verdict rejected"), "expired"),
    ((*JUDGED, "revealed"), "declined expired"),
    ((*ATTEMPT, "looked", "verdict rejected", "revealed"), "rejected"),
    ((*PLACEBO, "verdict of placebo", "revealed placebo"), "placebo"),
    ((*PLACEBO, "verdict of placebo rejected", "revealed placebo"), "placebo"),
    (PROMOTED, "accepted"),
    (ROOT_JUDGED, "declined expired"),
    ((*ROOT, "looked root", "verdict root rejected"), "rejected"),
    ((*ROOT_JUDGED, "approved root"), "accepted"),
    (("opened", "recalled"), "declined expired"),
    (ROLLBACK, "rolled-back"),
    (AGAIN, "abandoned expired"),
    ((*AGAIN, "looked elsewhere more"), "abandoned expired"),
    ((*AGAIN, "looked elsewhere futile"), "confirmed"),
    ((*AGAIN, "looked elsewhere"), "outdone"),
]


@pytest.mark.parametrize(("before", "allowed"), ALLOWED_ENDINGS)
def test_a_cycle_closes_as_its_screen_its_verdict_and_its_approval_say(
    walk: Any, say: Any, before: tuple[str, ...], allowed: str
) -> None:
    cycle, closed = walk(before)[-1], []
    for outcome in get_args(Ending):
        facts = say.closed(outcome)
        try:
            advance(cycle, say.entry("third", len(before) + 1, facts), facts)
        except LedgerError as refusal:
            verdict = cycle.verdict or "no verdict"
            assert f"closes otherwise than its verdict; got {outcome} where {verdict} was" in str(refusal)
        else:
            closed.append(outcome)
    assert sorted(closed) == sorted(allowed.split())


@pytest.mark.parametrize(
    ("before", "accepted"),
    [
        (TRIALS, False),
        (JUDGED, False),
        ((*JUDGED, "revealed"), True),
        (PROMOTED, True),
        ((*ATTEMPT, "looked", "verdict rejected", "revealed"), False),
        ((*PLACEBO, "verdict of placebo"), False),
        ((*PLACEBO, "verdict of placebo", "revealed placebo"), False),
        (ROOT_JUDGED, True),
        ((*ROOT, "looked root", "verdict root rejected"), False),
        (ROLLBACK[:2], True),
    ],
)
def test_only_the_second_key_is_missing_after_a_recall_or_once_an_accepted_child_is_known_to_be_real(
    walk: Any, before: tuple[str, ...], accepted: bool
) -> None:
    assert is_accepted(walk(before)[-1]) is accepted


@pytest.mark.parametrize(("last", "event"), list(product(SUCCESSORS, EVENTS)))
def test_an_event_is_in_turn_exactly_when_it_may_follow_the_last(steps: Any, say: Any, last: str, event: str) -> None:
    facts = next(facts for name, facts in steps.items() if name.split(" ")[0] == event)
    cycle = Cycle("third", "language", say.opened("G002"), event=last, number=1) if last else None
    complaint = ""
    try:
        advance(cycle, say.entry("third", 2 if last else 1, facts), facts)
    except LedgerError as refusal:
        complaint = str(refusal)
    assert ("is out of turn" in complaint) == (event not in SUCCESSORS[last])
