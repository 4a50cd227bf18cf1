"""Every rule of the lifecycle lets one sequence pass and refuses one; who may follow whom is checked for every pair."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from aams.errors import LedgerError
from aams.records import Criterion
from safety.events import EVENTS
from safety.lifecycle import SUCCESSORS, advance

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

PASSING = {
    "a child is promoted": (*PROMOTED, "closed accepted"),
    "a child is rejected": (*ATTEMPT, "looked undecided", "verdict rejected undecided", "revealed", "closed rejected"),
    "a proven child fails a criterion": (*ATTEMPT, "looked", "verdict rejected proven", "revealed", "closed rejected"),
    "a proven child is broken off": (*ATTEMPT, "looked", "verdict rejected", "revealed", "closed rejected"),
    "a futile child is rejected": (*ATTEMPT, "looked futile", "verdict rejected futile", "revealed", "closed rejected"),
    "more pairs are asked for": (*MORE, "looked again", "verdict again", "revealed", "approved", "closed accepted"),
    "no more pairs can be trained": (*MORE[:-2], "verdict rejected more", "revealed", "closed rejected"),
    "a look stops within its batch": (*ATTEMPT, "looked proven at 3", "closed abandoned"),
    "a person declines": (*JUDGED, "revealed", "closed declined"),
    "nobody approves": (*JUDGED, "revealed", "closed expired"),
    "nobody reveals": (*JUDGED, "closed expired"),
    "a placebo is accepted": (*PLACEBO, "verdict of placebo", "revealed placebo", "closed placebo"),
    "a placebo is rejected": (*PLACEBO, "verdict of placebo rejected", "revealed placebo", "closed placebo"),
    "a root is promoted": (*ROOT_JUDGED, "approved root", "closed accepted"),
    "a root is rejected": (*ROOT, "looked root", "verdict root rejected", "closed rejected"),
    "a root is declined": (*ROOT_JUDGED, "closed declined"),
    "a root expires": (*ROOT_JUDGED, "closed expired"),
    "a champion is recalled": (*ROLLBACK, "closed rolled-back"),
    "a recall is declined": ("opened", "recalled", "closed declined"),
    "a recall expires": ("opened", "recalled", "closed expired"),
    "a champion is confirmed": (*AGAIN, "looked elsewhere futile", "closed confirmed"),
    "a champion is outdone": (*AGAIN, "looked elsewhere", "closed outdone"),
    "a champion is looked at twice": (
        *(*AGAIN, "looked elsewhere more", "frozen rechallenge 1", "trained rechallenge 1"),
        *("looked elsewhere undecided", "closed confirmed"),
    ),
    "a re-challenge never comes back": (*AGAIN[:2], "closed expired"),
    "a re-challenge has nothing to train": (*AGAIN[:1], "closed nothing-to-try"),
    "no child beats the control": (*TRIALS, "screened failed", "closed screened-out"),
    "no child finishes": (*TRIALS, "screened unfinished", "closed screened-out"),
    "a schedule lacks karma": (*TRIALS, "screened", "closed explored"),
    "the planner knows nothing": ("opened", "proposed", "closed nothing-to-try"),
    "it is abandoned when opened": ("opened", "closed abandoned"),
    "it is abandoned when proposed": ("opened", "proposed", "closed abandoned"),
    "it is abandoned when frozen": (*TRIALS[:3], "closed abandoned"),
    "it is abandoned when trained": (*TRIALS, "closed abandoned"),
    "it is abandoned when screened": (*TRIALS, "screened", "closed abandoned"),
    "it is abandoned when attempted": (*ATTEMPT[:6], "closed abandoned"),
    "it expires when its attempt trains": (*ATTEMPT[:7], "closed expired"),
    "it expires when looked at": (*ATTEMPT, "looked more", "closed expired"),
    "it is broken off before it trains": (*ATTEMPT[:6], "verdict rejected", "revealed", "closed rejected"),
    "it is broken off in training": (*ATTEMPT[:7], "verdict rejected", "revealed", "closed rejected"),
    "it can't be scored": (*ATTEMPT, "verdict rejected", "revealed", "closed rejected"),
    "a second batch never comes back": (*MORE[:-1], "verdict rejected", "revealed", "closed rejected"),
    "trials need no key": ("opened", "proposed", "frozen trial unsigned", *PROMOTED[3:], "closed accepted"),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_happens_passes(walk: Any, name: str) -> None:
    stood = walk(PASSING[name])
    assert stood[-1].event == "closed"
    assert stood[-1].number == len(PASSING[name])
    committed = [cycle.event for cycle in stood if cycle.phase == "COMMIT"]
    approved = [step for step in PASSING[name] if step.startswith("approved")]
    assert committed == (["approved", "closed"] if approved else [])


def test_a_cycle_goes_through_its_phases_in_order(walk: Any) -> None:
    phases = [cycle.phase for cycle in walk(PASSING["a child is promoted"])]
    assert phases == [
        *["PROPOSE"] * 2,
        "TRAIN",
        *["VERIFY"] * 2,
        "PROPOSE",
        "TRAIN",
        *["VERIFY"] * 4,
        *["COMMIT"] * 2,
    ]
    assert [cycle.phase for cycle in walk(PASSING["a champion is recalled"])] == [
        "PROPOSE",
        "VERIFY",
        "COMMIT",
        "COMMIT",
    ]
    assert walk(PASSING["nobody reveals"])[-1].phase == "REJECT"


def test_a_phase_begins_with_its_first_event(steps: Any, say: Any) -> None:
    cycle, since = None, []
    for number, name in enumerate(PASSING["a child is promoted"], start=1):
        facts = steps[name]
        entry = say.entry("third", number, facts, time=f"2026-11-21T01:00:{number:02d}Z")
        cycle = advance(cycle, entry, facts)
        since.append(int(cycle.since[-3:-1]))
    assert since == [1, 1, 3, 4, 4, 6, 7, 8, 8, 8, 8, 12, 12]


REFUSED = [
    # a cycle is opened once, and nothing follows its end
    ((), "proposed", "is out of turn; got proposed after nothing; allowed: opened"),
    (("opened",), "opened", "got opened after opened; allowed: proposed, attempted, frozen, recalled, closed"),
    ((*PROMOTED, "closed accepted"), "opened", "is out of turn; got opened after closed; allowed: nothing"),
    (("opened", "closed abandoned"), "closed abandoned", "is out of turn; got closed after closed"),
    # a root attempts before it trains; a child attempts only after it passed the screen
    (("opened root",), "proposed", "needs a champion, and this cycle begins a lineage"),
    (("opened root",), "recalled", "needs a champion, and this cycle begins a lineage"),
    (("opened root", "attempted root"), "frozen trial", "is not the bundle that is due; got trial 0"),
    (("opened root", "attempted root"), "frozen attempt", "is not the bundle that is due; got attempt 0"),
    (("opened",), "attempted", "is an attempt of a child that did not pass the screen"),
    (("opened",), "attempted root", "is an attempt of a child that did not pass the screen"),
    ((*TRIALS, "screened failed"), "attempted", "is an attempt of a child that did not pass the screen"),
    ((*TRIALS, "screened"), "attempted root", "must be sealed for a child, and open for a root"),
    (("opened root",), "attempted", "must be sealed for a child, and open for a root"),
    (ATTEMPT, "screened", "screens what was not a trial; got attempt"),
    # only a re-challenge trains without children, and it never comes to a verdict
    (("opened",), "frozen rechallenge", "is not the bundle that is due; got rechallenge 0"),
    (("opened root",), "frozen rechallenge", "is not the bundle that is due; got rechallenge 0"),
    (("opened root rechallenge",), "frozen rechallenge", "is not the bundle that is due; got rechallenge 0"),
    (("opened",), "frozen trial", "is not the bundle that is due; got trial 0"),
    (("opened rechallenge",), "frozen attempt", "is not the bundle that is due; got attempt 0"),
    (("opened rechallenge",), "attempted", "is an attempt of a child that did not pass the screen"),
    (AGAIN, "screened", "screens what was not a trial; got rechallenge"),
    (AGAIN, "looked", "is about another generation than G002; got G003"),
    (AGAIN, "verdict elsewhere rejected", "is a verdict without an attempt"),
    ((*AGAIN, "looked elsewhere"), "verdict elsewhere", "is a verdict without an attempt"),
    ((*AGAIN, "looked elsewhere"), "verdict", "is about another generation than G002; got G003"),
    ((*AGAIN, "looked elsewhere"), "approved", "is out of turn; got approved after looked"),
    ((*AGAIN, "looked elsewhere"), "frozen rechallenge 1", "is not the bundle that is due; got rechallenge 1"),
    # bundles come back as they left: same stage, same batch, and another batch only while a look asks for more
    (TRIALS[:2], "frozen attempt", "is not the bundle that is due; got attempt 0"),
    (TRIALS[:2], "frozen trial 1", "is not the bundle that is due; got trial 1"),
    (ATTEMPT[:6], "frozen trial", "is not the bundle that is due; got trial 0"),
    (ATTEMPT[:6], "frozen attempt 1", "is not the bundle that is due; got attempt 1"),
    (ATTEMPT[:6], "frozen attempt for less than nothing", "reserves less than nothing; got -1 FLOPs"),
    (TRIALS[:3], "trained attempt", "is not the bundle that was frozen; got attempt 0"),
    (TRIALS[:3], "trained trial 1", "is not the bundle that was frozen; got trial 1"),
    (ATTEMPT[:7], "trained attempt 1", "is not the bundle that was frozen; got attempt 1"),
    (ATTEMPT[:7], "trained attempt for too much", "used other compute than was reserved; got 1001 of 1000"),
    (ATTEMPT[:7], "trained attempt for less than nothing", "used other compute than was reserved; got -1 of 1000"),
    ((*ATTEMPT, "looked more"), "frozen attempt", "is not the bundle that is due; got attempt 0"),
    ((*ATTEMPT, "looked more"), "frozen attempt 2", "is not the bundle that is due; got attempt 2"),
    ((*ATTEMPT, "looked"), "frozen attempt 1", "is not the bundle that is due; got attempt 1"),
    ((*ATTEMPT, "looked undecided"), "frozen attempt 1", "is not the bundle that is due; got attempt 1"),
    ((*ROOT, "looked root"), "frozen root 1", "is not the bundle that is due; got root 1"),
    # a look is of the batch that came back, with its test
    (TRIALS, "looked", "looks at another batch than came back; got trial 0"),
    (ATTEMPT, "looked again", "looks at another batch than came back; got attempt 1"),
    (MORE, "looked", "looks at another batch than came back; got attempt 0"),
    (ATTEMPT, "looked without pairs", "looks at another batch than came back; got attempt 0"),
    (ATTEMPT, "looked root", "is a look without its test"),
    (ROOT, "looked", "is a look without its test"),
    (ATTEMPT, "looked otherwise", "stands otherwise than its test; got proven"),
    (ROOT, "looked root undecided", "stands otherwise than its test; got undecided"),
    (ATTEMPT, "looked elsewhere", "is about another generation than G003; got G002"),
    # pairs are numbered on from 0, have a control but for a root's, and a look is at no more than there are
    (MORE, "looked again at the same pairs", "does not number its pairs on from 4; got 0, 1, 2, 3"),
    (ATTEMPT, "looked past a pair", "does not number its pairs on from 0; got 1, 2, 3"),
    (ATTEMPT, "looked at a pair without control", "must have a control in every pair, and a root's in none"),
    (ROOT, "looked root with controls", "must have a control in every pair, and a root's in none"),
    (ATTEMPT, "looked proven at 0", "looks at other pairs than were recorded; got 0 of 4"),
    (ATTEMPT, "looked proven at 5", "looks at other pairs than were recorded; got 5 of 4"),
    (ATTEMPT, "looked more at 3", "looks at other pairs than were recorded; got 3 of 4"),
    (ATTEMPT, "looked more at 5", "looks at other pairs than were recorded; got 5 of 4"),
    # a screen ranks the children that were proposed, and passes the one that its scores pass
    (TRIALS, "screened failed in numbers", "passes another child than its scores do"),
    (TRIALS, "screened passed in numbers", "passes another child than its scores do"),
    (TRIALS, "screened without best", "passes another child than its scores do; got none"),
    (TRIALS, "screened another", "screens other children than were proposed; got 1 of 1"),
    (TRIALS, "screened one too many", "screens other children than were proposed; got 2 of 1"),
    (TRIALS, "screened nothing", "screens other children than were proposed; got 0 of 1"),
    # a verdict is by the look before it, or by none where the child could not be scored
    (MORE, "verdict rejected more", "scores a child that was not looked at; got G003"),
    (ATTEMPT, "verdict rejected undecided", "scores a child that was not looked at; got G003"),
    ((*ATTEMPT, "looked"), "verdict without scores by a look", "is by another look than was taken; got G003"),
    # a verdict that accepts has scores, weights, no failed criterion and, for a child, a look that is proven
    (TRIALS, "verdict rejected", "is about another generation than none; got G003"),
    (TRIALS, "verdict of nothing", "is a verdict without an attempt"),
    ((*ATTEMPT, "looked"), "verdict elsewhere", "is about another generation than G003; got G002"),
    ((*ATTEMPT, "looked"), "verdict without scores", "accepts a child without scores or weights"),
    ((*ATTEMPT, "looked"), "verdict without weights", "accepts a child without scores or weights"),
    ((*ATTEMPT, "looked"), "verdict without criteria", "accepts a child that failed a criterion; got no criteria"),
    ((*ATTEMPT, "looked"), "verdict against a criterion", "accepts a child that failed a criterion; got recall"),
    ((*ATTEMPT, "looked"), "verdict without look", "is by another look than was taken; got G003"),
    ((*ATTEMPT, "looked"), "verdict undecided", "is by another look than was taken; got G003"),
    ((*ATTEMPT, "looked"), "verdict rejected by another look", "is by another look than was taken; got G003"),
    ((*ROOT, "looked root"), "verdict root with look", "is by another look than was taken; got G003"),
    ((*ATTEMPT, "looked more"), "verdict more", "accepts a child whose gain is not proven; got more"),
    ((*ATTEMPT, "looked futile"), "verdict futile", "accepts a child whose gain is not proven; got futile"),
    ((*ATTEMPT, "looked undecided"), "verdict undecided", "accepts a child whose gain is not proven; got undecided"),
    (ATTEMPT, "verdict without look", "scores a child that was not looked at; got G003"),
    (ATTEMPT[:7], "verdict without look", "scores a child that was not looked at; got G003"),
    (ATTEMPT[:6], "verdict without look", "scores a child that was not looked at; got G003"),
    (MORE, "verdict more", "scores a child that was not looked at; got G003"),
    (ROOT, "verdict root", "scores a child that was not looked at; got G003"),
    # what is revealed is what was sealed, and a child that is no placebo is the one that passed the screen
    (JUDGED, "revealed elsewhere", "is about another generation than G003; got G002"),
    (JUDGED, "revealed another", "reveals something else than was sealed"),
    (JUDGED, "revealed with salt", "reveals something else than was sealed"),
    (JUDGED, "revealed as placebo", "reveals something else than was sealed"),
    ((*PLACEBO, "verdict of placebo"), "revealed as child", "reveals something else than was sealed"),
    ((*PLACEBO, "verdict"), "revealed placebo", "reveals another child than the verdict is about"),
    ((*ATTEMPT, "looked", "verdict of another"), "revealed", "reveals another child than the verdict is about"),
    (
        (*TRIALS, "screened", "attempted another", *ATTEMPT[6:], "looked", "verdict of another"),
        "revealed another",
        "reveals a child that did not pass the screen",
    ),
    (ROOT_JUDGED, "revealed", "reveals something else than was sealed"),
    # COMMIT needs a verdict that accepts, nothing but a real child, and two different keys
    ((*ATTEMPT, "looked"), "approved", "is out of turn; got approved after looked"),
    (ATTEMPT[:6], "approved", "is out of turn; got approved after attempted"),
    (JUDGED, "approved", "approves a placebo, or a child that was not revealed"),
    (
        (*ATTEMPT, "looked", "verdict rejected", "revealed"),
        "approved",
        "approves what the arbiter did not accept; got rejected",
    ),
    (
        (*PLACEBO, "verdict of placebo", "revealed placebo"),
        "approved",
        "approves a placebo, or a child that was not revealed",
    ),
    ((*JUDGED, "revealed"), "approved elsewhere", "approves another generation than was decided; got G002"),
    ((*JUDGED, "revealed"), "approved to elsewhere", "approves another generation than was decided"),
    ((*JUDGED, "revealed"), "approved by the proposer", "has the proposer's key as its second key"),
    ((*JUDGED, "revealed"), "approved by nobody", "has no second key; got nobody"),
    (
        (*ATTEMPT[:6], "frozen attempt unsigned", *JUDGED[7:], "revealed"),
        "approved",
        "approves what nobody proposed under a key",
    ),
    (
        (*MORE[:-2], "frozen attempt 1 by another", "trained attempt 1", "looked again", "verdict again", "revealed"),
        "approved",
        "approves what nobody proposed under a key",
    ),
    (
        (*MORE[:-2], "frozen attempt 1 unsigned", "trained attempt 1", "looked again", "verdict again", "revealed"),
        "approved",
        "approves what nobody proposed under a key",
    ),
    (("opened", "recalled"), "approved recall by the proposer", "has the proposer's key as its second key"),
    (("opened", "recalled by nobody"), "approved recall", "approves what nobody proposed under a key"),
    (("opened", "recalled"), "approved another recall", "approves another generation than was decided; got G001"),
    (PROMOTED, "approved", "is out of turn; got approved after approved"),
]


@pytest.mark.parametrize(("before", "refused", "complaint"), REFUSED)
def test_what_breaks_a_rule_is_refused_by_name(
    walk: Any, steps: Any, say: Any, before: tuple[str, ...], refused: str, complaint: str
) -> None:
    cycle = walk(before)[-1] if before else None
    facts = steps[refused]
    with pytest.raises(LedgerError) as refusal:
        advance(cycle, say.entry("third", len(before) + 1, facts), facts)
    assert complaint in str(refusal.value)
    advice = refusal.value.problems[0].advice
    assert advice.startswith("allowed: ") if "allowed" in advice else advice == "restore logs/cycles from Git"
    assert refusal.value.problems[0].file == f"logs/cycles/third/{len(before) + 1:02d}-{refused.split(' ')[0]}.json"


def test_a_spec_is_named_by_the_first_twelve_digits_of_its_id(walk: Any, steps: Any, say: Any) -> None:
    for before, refused, spec in (
        (TRIALS, "screened failed in numbers", "more"),
        (JUDGED, "revealed another", "other"),
        ((*PLACEBO, "verdict"), "revealed placebo", "twin"),
        (
            (*TRIALS, "screened", "attempted another", *ATTEMPT[6:], "looked", "verdict of another"),
            "revealed another",
            "other",
        ),
    ):
        facts = steps[refused]
        with pytest.raises(LedgerError, match=f"; got {say.sha(spec)[:12]};"):
            advance(walk(before)[-1], say.entry("third", len(before) + 1, facts), facts)


def test_everything_that_may_follow_something_does_so_in_a_sequence_that_passes() -> None:
    followed = {
        pair for sequence in PASSING.values() for pair in pairwise(["", *(name.split(" ")[0] for name in sequence)])
    }
    assert followed == {(last, event) for last, events in SUCCESSORS.items() for event in events}


def test_every_event_has_its_place_and_all_but_the_last_can_be_closed() -> None:
    assert set(SUCCESSORS) == {"", *EVENTS}
    assert [last for last, events in SUCCESSORS.items() if "closed" not in events] == ["", "closed"]
    assert {last for last, events in SUCCESSORS.items() if "approved" in events} == {"verdict", "revealed", "recalled"}


@pytest.mark.parametrize("number", [0, 1, 3, 7])
def test_an_entry_has_the_number_that_is_due(walk: Any, say: Any, number: int) -> None:
    (cycle,) = walk(("opened",))
    with pytest.raises(LedgerError, match=f"is not entry 2 of its cycle; got {number}"):
        advance(cycle, say.entry("third", number, say.proposed("more")), say.proposed("more"))
    with pytest.raises(LedgerError, match="is not entry 1 of its cycle; got 2"):
        advance(None, say.entry("third", 2, say.opened("G002")), say.opened("G002"))


def test_a_cycle_stays_in_its_domain(walk: Any, say: Any) -> None:
    (cycle,) = walk(("opened",))
    facts = say.proposed("more")
    with pytest.raises(LedgerError, match="belongs to another domain than its cycle; got vision"):
        advance(cycle, say.entry("third", 2, facts, domain="vision"), facts)


def test_compute_is_reserved_while_a_bundle_is_out(walk: Any) -> None:
    assert [cycle.reserved_flops for cycle in walk(ATTEMPT)] == [0, 0, 1000, 0, 0, 0, 1000, 0]


@pytest.mark.parametrize(("reserved", "used"), [(0, 0), (1, 0), (1, 1), (1000, 1000)])
def test_of_what_is_reserved_all_or_nothing_may_be_used(walk: Any, say: Any, reserved: int, used: int) -> None:
    cycle = walk(ATTEMPT[:6])[-1]
    for facts in (say.frozen("attempt", flops=reserved), say.trained("attempt", 0, "", used=used)):
        cycle = advance(cycle, say.entry("third", cycle.number + 1, facts), facts)
    assert cycle.event == "trained"


def test_every_criterion_that_failed_is_named(walk: Any, steps: Any, say: Any) -> None:
    failed = tuple(
        Criterion(name, 0.7, ">=", 0.75, name == "recall_floor") for name in ("recall", "recall_floor", "tone")
    )
    facts = replace(steps["verdict"], criteria=failed)
    with pytest.raises(LedgerError, match="accepts a child that failed a criterion; got recall, tone;"):
        advance(walk((*ATTEMPT, "looked"))[-1], say.entry("third", 10, facts), facts)


def test_a_key_that_signs_only_the_trials_promotes_nothing(walk: Any) -> None:
    before = (*ATTEMPT[:6], "frozen attempt unsigned")
    assert walk(before[:-1])[-1].proposer == "SHA256:ann-propose"
    assert walk(before)[-1].proposer == ""
