from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from aams.records import Fitness
from safety.clock import later
from safety.contract import CONTRACT_PATH, load_contract
from safety.eligibility import (
    SCHEDULE,
    cooldown_left,
    holder,
    karma,
    may_attempt,
    may_propose,
    month_left,
    overdue,
    predecessor,
    rechallenge_due,
)
from safety.events import Ending, Opened
from safety.lifecycle import Cycle
from safety.lineage import Champion, Lineage
from safety.state import State

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
SINCE, NOW = "2026-11-20T01:00:00Z", "2026-11-21T01:00:00Z"
NEEDED = 1_000_000
MONTH = CONTRACT.month.training_flops
CHAMPION = Champion("G002", "G002-x", "a" * 64, "b" * 64, Fitness(0.8, 0.6, 0.01, 2.5, 0), (0.5, 0.5), "c" * 64, SINCE)
LINEAGE = Lineage(corpus="corpus-a", champion=CHAMPION, root=CHAMPION, trials=20, ended="rejected")
STATE = State({"language": LINEAGE}, {}, {"2026-11": MONTH - NEEDED}, {}, SINCE)
TRIGGERS = (SCHEDULE, "person", "propose")


def ask(state: State = STATE, trigger: str = SCHEDULE, now: str = NOW, **contract: Any) -> list[tuple[str, str]]:
    findings = may_propose(state, replace(CONTRACT, **contract), "language", trigger, NEEDED, now)
    assert all(finding.what and finding.advice and finding.subject for finding in findings)
    return [(finding.gate, finding.got) for finding in findings]


def with_lineage(**changes: Any) -> State:
    return replace(STATE, lineages={"language": replace(LINEAGE, **changes)})


def open_cycle(say: Any, domain: str = "language", **changes: Any) -> Cycle:
    return replace(Cycle("third", domain, say.opened("G002"), since=SINCE), **changes)


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_cycle_may_begin_when_nothing_stands_against_it(trigger: str) -> None:
    assert ask(trigger=trigger) == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_first_cycle_of_a_domain_may_begin(trigger: str) -> None:
    assert ask(State(), trigger) == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_without_compute_nobody_begins_and_the_month_is_exact_to_the_flop(trigger: str) -> None:
    spent = replace(STATE, month_flops={"2026-11": MONTH - NEEDED + 1})
    assert ask(spent, trigger) == [("month", "999,999 training FLOPs are left, 1,000,000 are needed")]
    assert ask(replace(STATE, month_flops={"2026-11": MONTH - NEEDED}), trigger) == []
    assert ask(replace(STATE, month_flops={"2026-11": MONTH}), trigger) == [
        ("month", "0 training FLOPs are left, 1,000,000 are needed")
    ]


def test_a_new_month_has_its_whole_budget() -> None:
    spent = replace(STATE, month_flops={"2026-10": MONTH, "2026-11": MONTH})
    assert month_left(spent, CONTRACT, "2026-11-30T23:59:59Z") == 0
    assert month_left(spent, CONTRACT, "2026-12-01T00:00:00Z") == MONTH
    assert ask(spent, now="2026-11-30T23:59:59Z") != []
    assert ask(spent, now="2026-12-01T00:00:00Z") == []
    assert month_left(spent, CONTRACT, "2027-11-01T00:00:00Z") == MONTH, "the same month of another year"


def test_a_contract_that_was_tightened_leaves_a_month_overdrawn() -> None:
    tight = replace(CONTRACT, month=replace(CONTRACT.month, training_flops=10))
    assert month_left(replace(STATE, month_flops={"2026-11": 12}), tight, NOW) == -2
    state = replace(STATE, month_flops={"2026-11": 12})
    assert ask(state, month=tight.month) == [("month", "-2 training FLOPs are left, 1,000,000 are needed")]


def test_a_schedule_rests_after_a_promotion_to_the_second() -> None:
    rest = CONTRACT.cooldown.schedule_s
    assert ask(now=later(SINCE, 0)) == [("cooldown", "86400 s to wait")]
    assert ask(now=later(SINCE, rest - 1)) == [("cooldown", "1 s to wait")]
    assert ask(now=later(SINCE, rest)) == []
    assert ask(now=later(SINCE, rest + 1)) == []


@pytest.mark.parametrize("trigger", ["person", "propose"])
def test_a_person_rests_as_long_as_the_contract_says_which_is_not_at_all(trigger: str) -> None:
    assert ask(trigger=trigger, now=SINCE) == []
    restful = replace(CONTRACT.cooldown, person_s=10)
    assert ask(trigger=trigger, now=later(SINCE, 9), cooldown=restful) == [("cooldown", "1 s to wait")]
    assert ask(trigger=trigger, now=later(SINCE, 10), cooldown=restful) == []


def test_there_is_no_rest_before_the_first_champion() -> None:
    assert cooldown_left(Lineage(), CONTRACT, SCHEDULE, NOW) == 0


def test_a_clock_that_went_backwards_lengthens_the_rest_of_whoever_has_to_rest() -> None:
    assert cooldown_left(LINEAGE, CONTRACT, SCHEDULE, later(SINCE, -5)) == 86_405
    assert cooldown_left(LINEAGE, CONTRACT, "person", later(SINCE, -5)) == 0


def test_each_domain_rests_for_itself() -> None:
    assert may_propose(STATE, CONTRACT, "vision", SCHEDULE, NEEDED, SINCE) == ()


def test_under_manual_autonomy_only_a_person_begins() -> None:
    assert ask(autonomy="manual") == [("autonomy", "manual")]
    for trigger in ("person", "propose"):
        assert ask(trigger=trigger, autonomy="manual") == []
    assert ask(autonomy="supervised") == ask(autonomy="autonomous") == []


ENDINGS = [ending for ending in get_args(Ending) if ending not in ("abandoned", "expired")]


@pytest.mark.parametrize("ended", ["", *ENDINGS])
def test_after_an_orderly_end_a_schedule_goes_on(ended: Any) -> None:
    assert ask(with_lineage(ended=ended)) == []


@pytest.mark.parametrize("ended", ["abandoned", "expired"])
def test_after_a_disorderly_end_a_schedule_waits_for_a_person(ended: Any) -> None:
    assert ask(with_lineage(ended=ended)) == [("order", ended)]
    for trigger in ("person", "propose"):
        assert ask(with_lineage(ended=ended), trigger) == []


def test_a_schedule_waits_for_the_open_cycles_of_its_domain(say: Any) -> None:
    waiting = {"third": open_cycle(say), "fourth": open_cycle(say, id="fourth")}
    assert ask(replace(STATE, open_cycles=waiting)) == [("order", "third, fourth")]
    assert ask(replace(STATE, open_cycles=waiting), "person") == []
    elsewhere = {"third": open_cycle(say, domain="vision")}
    assert ask(replace(STATE, open_cycles=elsewhere)) == []


def test_beside_what_waits_for_the_second_key_a_schedule_explores(say: Any) -> None:
    accepted = open_cycle(say, generation="G003", verdict="accepted")
    recalled = open_cycle(say, recalled="G001")
    for waits in (accepted, recalled):
        assert ask(replace(STATE, open_cycles={"third": waits})) == []
        assert holder(replace(STATE, open_cycles={"third": waits}), "language") == waits
        both = {"third": waits, "fourth": open_cycle(say, id="fourth")}
        assert ask(replace(STATE, open_cycles=both)) == [("order", "third, fourth")]
    for other in (
        replace(accepted, sealed="x"),
        replace(accepted, verdict="rejected"),
        replace(accepted, domain="vision"),
    ):
        assert holder(replace(STATE, open_cycles={"third": other}), "language") is None


def test_beside_a_root_that_waits_there_is_nothing_to_explore(say: Any) -> None:
    root = Cycle("third", "language", say.opened(""), generation="G000", verdict="accepted")
    assert ask(State(open_cycles={"third": root})) == [("order", "third")]


def test_everything_that_is_missing_is_named_at_once(say: Any) -> None:
    state = replace(with_lineage(ended="expired"), month_flops={"2026-11": MONTH}, open_cycles={"x": open_cycle(say)})
    found = ask(state, now=SINCE, autonomy="manual")
    assert [gate for gate, _ in found] == ["month", "cooldown", "autonomy", "order", "order"]


def test_what_may_begin_changes_nothing() -> None:
    before = repr(STATE)
    ask(now=SINCE)
    assert repr(STATE) == before


def attempt(
    lineage: Lineage, trigger: str = SCHEDULE, *others: Cycle, parent: str = "G002", spent: int = 0
) -> list[tuple[str, str]]:
    opened = Opened(0, "mutate-champion", trigger, parent, "corpus-a", "", "")
    state = State({"language": lineage}, {cycle.id: cycle for cycle in others}, {NOW[:7]: spent})
    found = may_attempt(state, Cycle("fourth", "language", opened), CONTRACT, NEEDED, NOW)
    assert all(finding.what and finding.advice and finding.subject for finding in found)
    return [(finding.gate, finding.got) for finding in found]


def test_an_attempt_needs_karma_to_the_point() -> None:
    assert attempt(replace(LINEAGE, trials=19)) == [("karma", "19 of 20")]
    assert attempt(replace(LINEAGE, trials=20)) == []
    assert attempt(replace(LINEAGE, trials=0)) == [("karma", "0 of 20")]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_an_attempt_needs_the_compute_of_all_its_pairs_to_the_flop(trigger: str) -> None:
    rich = replace(LINEAGE, trials=20)
    assert attempt(rich, trigger, spent=MONTH - NEEDED) == []
    missing = [("month", "999,999 training FLOPs are left, 1,000,000 are needed")]
    assert attempt(rich, trigger, spent=MONTH - NEEDED + 1) == missing


@pytest.mark.parametrize("trigger", ["person", "propose"])
def test_a_person_needs_no_karma(trigger: str) -> None:
    assert attempt(replace(LINEAGE, trials=0), trigger) == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_nothing_is_attempted_while_a_generation_waits_for_the_second_key(say: Any, trigger: str) -> None:
    waits = open_cycle(say, generation="G003", verdict="accepted")
    assert attempt(LINEAGE, trigger, waits) == [("lock", "cycle third")]
    assert attempt(LINEAGE, trigger, replace(waits, sealed="x"), replace(waits, domain="vision")) == []


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_nothing_is_attempted_that_was_tried_against_another_than_the_champion(trigger: str) -> None:
    assert attempt(LINEAGE, trigger, parent="G001") == [("lineage", "G002 is")]
    assert attempt(replace(LINEAGE, champion=None), trigger) == [("lineage", "nothing is")]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_holdout_judges_as_many_attempts_as_the_contract_says(trigger: str) -> None:
    assert attempt(replace(LINEAGE, attempts=999), trigger) == []
    assert attempt(replace(LINEAGE, attempts=1000), trigger) == [("holdout", "1000 of 1000")]
    assert attempt(replace(LINEAGE, attempts=1001), trigger) == [("holdout", "1001 of 1000")]


def test_trials_and_calibrated_predictions_earn_karma() -> None:
    assert karma(Lineage(), CONTRACT) == 0
    assert karma(Lineage(trials=3), CONTRACT) == 3
    assert karma(Lineage(predictions=((0.03, 0.02), (0.5, 0.0))), CONTRACT) == 5
    assert karma(Lineage(trials=10, predictions=((0.0, 0.0), (0.01, 0.02))), CONTRACT) == 20
    assert attempt(replace(LINEAGE, trials=9, predictions=((0.0, 0.0), (0.01, 0.02)))) == [("karma", "19 of 20")]


@pytest.mark.parametrize(
    ("predicted", "measured", "earned"),
    [
        (0.02, 0.0, 5),
        (0.0, 0.02, 5),
        (-0.01, 0.01, 5),
        (0.05, 0.03, 5),
        (0.021, 0.0, 0),
        (0.0, 0.0201, 0),
        (-0.011, 0.01, 0),
    ],
)
def test_a_prediction_within_the_band_is_calibrated(predicted: float, measured: float, earned: int) -> None:
    assert karma(Lineage(predictions=((predicted, measured),)), CONTRACT) == earned


def test_a_band_of_nothing_wants_the_gain_itself() -> None:
    exact = replace(CONTRACT, karma=replace(CONTRACT.karma, band=Decimal(0)))
    assert karma(Lineage(predictions=((0.02, 0.02), (0.02, 0.021))), exact) == 5


@pytest.mark.parametrize(("phase", "deadline"), [("PROPOSE", 3_600), ("TRAIN", 86_400), ("VERIFY", 604_800)])
def test_a_cycle_is_overdue_a_second_after_its_phase_deadline(say: Any, phase: Any, deadline: int) -> None:
    cycle = open_cycle(say, phase=phase)
    assert overdue(cycle, CONTRACT, SINCE) == 0
    assert overdue(cycle, CONTRACT, later(SINCE, deadline)) == 0
    assert overdue(cycle, CONTRACT, later(SINCE, deadline + 1)) == 1
    assert overdue(cycle, CONTRACT, later(SINCE, deadline + 500)) == 500
    assert overdue(cycle, CONTRACT, later(SINCE, -1)) == 0


@pytest.mark.parametrize("phase", ["IDLE", "COMMIT", "REJECT"])
def test_a_cycle_that_is_decided_is_never_overdue(say: Any, phase: Any) -> None:
    assert overdue(open_cycle(say, phase=phase), CONTRACT, "2030-01-01T00:00:00Z") == 0


def test_a_deadline_counts_from_the_beginning_of_the_phase_not_of_the_last_event(line: Any) -> None:
    say = line.say
    line.open("third", "G002")
    opened = line.now
    line.record("third", say.proposed("more"), at=later(opened, 3_000))
    assert overdue(line.state.open_cycles["third"], CONTRACT, later(opened, 3_601)) == 1
    line.record("third", say.frozen("trial"), at=later(opened, 3_500))
    assert overdue(line.state.open_cycles["third"], CONTRACT, later(opened, 3_601)) == 0
    assert overdue(line.state.open_cycles["third"], CONTRACT, later(opened, 3_500 + 86_401)) == 1


def test_a_promotion_starts_the_rest_and_spends_the_karma(line: Any) -> None:
    promoted = line.lineage.champion.since
    state = line.state
    assert cooldown_left(state.lineages["language"], CONTRACT, SCHEDULE, promoted) == 86_400
    line.trials("third", "more", "other")
    line.record("third", line.say.ranked({"more": 0.5, "other": 0.5}, passed=False), line.say.closed("screened-out"))
    assert karma(line.lineage, CONTRACT) == 2
    line.attempt("fourth", "fourth", "rejected")
    assert karma(line.lineage, CONTRACT) == 8, "three trials, and a gain of 0.02 that was predicted as 0.01"
    line.attempt("fifth", "fifth", "accepted")
    assert karma(line.lineage, CONTRACT) == 0


def test_compute_that_a_story_spent_is_gone_from_its_month(line: Any) -> None:
    spent = line.state.month_flops["2026-11"]
    assert month_left(line.state, CONTRACT, line.now) == MONTH - spent
    assert spent == 5 * 800


def test_the_predecessor_is_the_champion_that_was_replaced(line: Any) -> None:
    assert predecessor(Lineage()) is None
    assert predecessor(line.lineage).name == "G000"
    line.attempt("third", "more", "accepted")
    assert predecessor(line.lineage).name == "G002"
    line.roll_back("back", "G000")
    assert predecessor(line.lineage) is None, "a root replaced nobody"


def test_a_champion_is_challenged_again_when_it_is_old_to_the_second(line: Any) -> None:
    since, month = line.lineage.champion.since, CONTRACT.promotion.rechallenge_days * 86_400
    assert not rechallenge_due(line.lineage, CONTRACT, later(since, month - 1))
    assert rechallenge_due(line.lineage, CONTRACT, later(since, month))
    line.challenge("again", at=later(since, month))
    assert not rechallenge_due(line.lineage, CONTRACT, later(since, 2 * month - 1))
    assert rechallenge_due(line.lineage, CONTRACT, later(since, 2 * month))


def test_a_root_and_an_empty_lineage_are_never_challenged(story: Any) -> None:
    assert not rechallenge_due(story.lineage, CONTRACT, "2030-01-01T00:00:00Z")
    story.begin()
    assert not rechallenge_due(story.lineage, CONTRACT, "2030-01-01T00:00:00Z")
