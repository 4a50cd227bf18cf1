from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.canonical import canonical_json, to_data
from aams.errors import AamsError
from aams.records import Criterion, Evidence, Fitness, Look, Pair, Scores, Standing
from evaluator import statistics
from evaluator.arbiter import MOST_EVIDENCE, decide, look_at, look_back, refuse
from safety.contract import CONTRACT_PATH, load_contract

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
GOOD = Evidence(
    child=Fitness(recall=0.8, generalize=0.83, tone_drift=0.01, bits=2.5, law_violations=0),
    control=Fitness(recall=0.8, generalize=0.8, tone_drift=0.0, bits=2.6, law_violations=0),
    best_recall=0.8,
    root_drift=0.02,
    pairs=(Pair(0, Scores(0.8, 0.83, 2.5), Scores(0.8, 0.8, 2.6)),),
    voice=(0.5, 0.5),
    look=Look(3, 1, 0.002, 812.5, 6, "proven", 0.028, 0.02, 0.04),
)
CRITERIA = (
    "evidence",
    "generalize",
    "recall",
    "recall_best",
    "tone_drift",
    "tone_drift_root",
    "recall_floor",
    "law_violations",
)
THOUSANDTHS = st.integers(0, 1000).map(lambda number: number / 1000)


def change(arm: str = "child", evidence: Evidence = GOOD, **numbers: Any) -> Evidence:
    """The evidence with other numbers of an arm, those of its runs with them."""
    scores = {name: value for name, value in numbers.items() if name in ("recall", "generalize", "bits")}
    pairs = tuple(replace(pair, **{arm: replace(getattr(pair, arm), **scores)}) for pair in evidence.pairs)
    return replace(evidence, pairs=pairs, **{arm: replace(getattr(evidence, arm), **numbers)})


def looked(**numbers: Any) -> Evidence:
    assert GOOD.look
    return replace(GOOD, look=replace(GOOD.look, **numbers))


def pairs_of(gains: Sequence[float], control: float = 0.5) -> tuple[Pair, ...]:
    """Pairs whose scores lie on the contract's step, as released ones do."""
    return tuple(
        Pair(number, Scores(0.8, round(control + gain, 3), 2.5), Scores(0.8, control, 2.6))
        for number, gain in enumerate(gains)
    )


def test_a_better_child_is_accepted_with_every_number() -> None:
    decision = decide(CONTRACT, GOOD)
    assert decision.outcome == "accepted"
    assert tuple(criterion.name for criterion in decision.criteria) == CRITERIA
    assert decision.reasons[0] == "Proven after 6 pairs: the e-value 812.5 is at least 500, for attempt 3"
    assert decision.criteria[0] == Criterion("evidence", 812.5, ">=", 500.0, True)
    assert decision.criteria[4] == Criterion("tone_drift", 0.01, "<=", 0.05, True)
    assert decision.reasons[1:] == (
        "Generalize 0.83 is at least 0.82, the control's 0.8 plus 0.02",
        "Recall 0.8 is at least 0.75, the control's 0.8 less 0.05",
        "Recall 0.8 is at least 0.75, the lineage's best, 0.8, less 0.05",
        "Tone drift 0.01 is at most 0.05, the limit against the control",
        "Tone drift 0.02 is at most 0.15, the limit against the root",
        "Recall 0.8 is at least 0, the floor",
        "The number of law violations 0 is at most 0, the limit",
    )


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (looked(e_value=500.0), "evidence"),
        (change(generalize=0.82), "generalize"),
        (change("control", generalize=0.81), "generalize"),
        (change(recall=0.75), "recall"),
        (replace(GOOD, best_recall=0.85), "recall_best"),
        (change(tone_drift=0.05), "tone_drift"),
        (replace(GOOD, root_drift=0.15), "tone_drift_root"),
        (change(law_violations=0), "law_violations"),
    ],
)
def test_exactly_the_threshold_passes(evidence: Evidence, name: str) -> None:
    decision = decide(CONTRACT, evidence)
    assert decision.outcome == "accepted", decision.reasons
    assert next(criterion for criterion in decision.criteria if criterion.name == name).passed


@pytest.mark.parametrize(
    ("evidence", "name", "reason"),
    [
        (
            looked(e_value=499.999),
            "evidence",
            "Proven after 6 pairs: the e-value 499.999 is below 500, for attempt 3",
        ),
        (
            looked(standing="futile", e_value=0.25, pairs=4),
            "evidence",
            "Given up after 4 pairs, which can't reach it any more: the e-value 0.25 is below 500, for attempt 3",
        ),
        (
            looked(standing="undecided", e_value=12.5, pairs=16),
            "evidence",
            "Undecided after 16 pairs: the e-value 12.5 is below 500, for attempt 3",
        ),
        (
            looked(standing="more", e_value=12.5, pairs=4),
            "evidence",
            "Undecided after 4 pairs: the e-value 12.5 is below 500, for attempt 3",
        ),
        (change(generalize=0.819), "generalize", "Generalize 0.819 is below 0.82, the control's 0.8 plus 0.02"),
        (change("control", recall=0.851), "recall", "Recall 0.8 is below 0.801, the control's 0.851 less 0.05"),
        (
            replace(GOOD, best_recall=0.851),
            "recall_best",
            "Recall 0.8 is below 0.801, the lineage's best, 0.851, less 0.05",
        ),
        (change(tone_drift=0.051), "tone_drift", "Tone drift 0.051 is above 0.05, the limit against the control"),
        (
            replace(GOOD, root_drift=0.151),
            "tone_drift_root",
            "Tone drift 0.151 is above 0.15, the limit against the root",
        ),
        (change(law_violations=1), "law_violations", "The number of law violations 1 is above 0, the limit"),
    ],
)
def test_each_criterion_alone_rejects_and_is_the_reason(evidence: Evidence, name: str, reason: str) -> None:
    decision = decide(CONTRACT, evidence)
    assert decision.outcome == "rejected"
    assert decision.reasons == (reason,)
    assert [criterion.name for criterion in decision.criteria if not criterion.passed] == [name]


def test_the_floor_is_a_criterion_of_its_own() -> None:
    strict = replace(CONTRACT, criteria=replace(CONTRACT.criteria, recall_floor=Decimal("0.9")))
    assert decide(strict, GOOD).reasons == ("Recall 0.8 is below 0.9, the floor",)


def test_a_root_needs_no_parent() -> None:
    pairs = tuple(replace(pair, control=None) for pair in GOOD.pairs)
    root = replace(GOOD, control=None, pairs=pairs, best_recall=0.0, root_drift=0.0, look=None)
    decision = decide(CONTRACT, root)
    assert decision.outcome == "accepted"
    assert [criterion.name for criterion in decision.criteria] == ["recall_floor", "law_violations"]
    broken = replace(root, child=replace(root.child, law_violations=2))
    assert decide(CONTRACT, broken).outcome == "rejected"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["child", "control", "best_recall", "root_drift", "look"])
def test_what_is_not_a_number_never_passes(place: str, number: float) -> None:
    if place in ("child", "control"):
        changes = [change(place, **{name: number}) for name in ("recall", "generalize", "tone_drift", "bits")]
        changes += [replace(one, **{place: getattr(GOOD, place)}) for one in (changes[0], changes[1], changes[3])]
    else:
        changes = [looked(e_value=number) if place == "look" else replace(GOOD, **{place: number})]
    for evidence in changes:
        decision = decide(CONTRACT, evidence)
        assert decision.outcome == "rejected"
        assert decision.criteria == ()
        assert "is not a finite number" in decision.reasons[0]
        canonical_json(to_data(decision))


def test_every_number_that_is_not_finite_is_named() -> None:
    nothing = Fitness(math.nan, math.nan, math.nan, math.nan, 0)
    evidence = replace(looked(e_value=math.nan), child=nothing, control=nothing, best_recall=math.nan)
    unscored = Scores(math.nan, 0.5, math.nan)
    evidence = replace(evidence, pairs=(Pair(7, unscored, GOOD.pairs[0].control),))
    names = ("recall", "generalize", "tone drift", "bits")
    assert decide(CONTRACT, replace(evidence, root_drift=math.nan)).reasons == tuple(
        f"{name} is not a finite number"
        for name in (
            *("best recall", "tone drift from the root", "the e-value"),
            *(f"the {arm}'s {name}" for arm in ("child", "control") for name in names),
            *("in pair 7, the child's recall", "in pair 7, the child's bits"),
        )
    )


def test_a_child_that_could_not_be_scored_is_rejected_with_the_reason() -> None:
    decision = refuse(CONTRACT, 0, "child-0 can't be evaluated", "child-1 failed: loss is not finite")
    assert decision.outcome == "rejected"
    assert decision.reasons == ("child-0 can't be evaluated", "child-1 failed: loss is not finite")
    assert decision.criteria == (Criterion("law_violations", 0.0, "<=", 0.0, True),)


def test_a_refusal_names_broken_laws_as_a_criterion_of_their_own() -> None:
    decision = refuse(CONTRACT, 3, "Run child-0 failed: broke a law")
    assert decision.outcome == "rejected"
    assert decision.criteria == (Criterion("law_violations", 3.0, "<=", 0.0, False),)
    assert decision.reasons == (
        "Run child-0 failed: broke a law",
        "The number of law violations 3 is above 0, the limit",
    )
    assert refuse(CONTRACT, 3) == replace(decision, reasons=decision.reasons[1:])
    lenient = replace(CONTRACT, criteria=replace(CONTRACT.criteria, law_violations=3))
    assert refuse(lenient, 3, "so").criteria == (Criterion("law_violations", 3.0, "<=", 3.0, True),)


def test_evidence_is_proven_where_the_test_stopped_and_nowhere_else() -> None:
    for standing in ("futile", "undecided", "more"):
        decision = decide(CONTRACT, looked(standing=standing, e_value=1e6))
        assert decision.outcome == "rejected", "more evidence after the stop counts for nothing"


@given(THOUSANDTHS, THOUSANDTHS)
def test_the_gain_is_compared_as_decimals(child: float, control: float) -> None:
    evidence = change("control", change(generalize=child), generalize=control)
    passed = round(child * 1000) - round(control * 1000) >= 20
    criterion = next(item for item in decide(CONTRACT, evidence).criteria if item.name == "generalize")
    assert criterion.passed == passed


@given(THOUSANDTHS, THOUSANDTHS, THOUSANDTHS, THOUSANDTHS, THOUSANDTHS, st.integers(0, 3))
def test_accepted_means_that_every_criterion_passed(
    recall: float, generalize: float, drift: float, best: float, root_drift: float, laws: int
) -> None:
    evidence = replace(
        change(recall=recall, generalize=generalize, tone_drift=drift, law_violations=laws),
        best_recall=best,
        root_drift=root_drift,
    )
    decision = decide(CONTRACT, evidence)
    assert (decision.outcome == "accepted") == all(criterion.passed for criterion in decision.criteria)
    assert decision.reasons
    for criterion in decision.criteria:
        holds = (
            criterion.value >= criterion.bound if criterion.comparison == ">=" else criterion.value <= criterion.bound
        )
        assert holds == criterion.passed


def test_recall_given_away_a_little_each_time_stops_at_the_best_ever() -> None:
    recall, best = 0.9, 0.9
    for _ in range(50):
        evidence = replace(change("control", change(recall=round(recall - 0.01, 3)), recall=recall), best_recall=best)
        if decide(CONTRACT, evidence).outcome == "accepted":
            recall = evidence.child.recall
    assert recall == 0.85


def settled(gains: Sequence[float], batch: int, attempt: int = 1, discoveries: int = 0) -> Look:
    """The look that ends an attempt whose pairs come in batches; all of them when none does."""
    pairs = pairs_of(gains)
    for stop in range(batch, len(pairs) + batch, batch):
        look = look_at(CONTRACT, pairs[:stop], attempt, discoveries)
        if look.standing != "more":
            break
    return look


GAINS = st.lists(st.integers(-300, 300).map(lambda number: number / 1000), min_size=16, max_size=16)


@given(GAINS, st.integers(1, 40), st.integers(0, 3))
def test_how_pairs_are_batched_never_changes_the_look(gains: list[float], attempt: int, discoveries: int) -> None:
    discoveries = min(discoveries, attempt - 1)
    looks = [settled(gains, batch, attempt, discoveries) for batch in (1, 2, 3, 4, 5, 16)]
    assert all(look == looks[0] for look in looks)
    assert looks[0].standing != "more"


@given(GAINS, st.integers(4, 16), GAINS)
def test_pairs_after_the_stop_are_not_looked_at(gains: list[float], kept: int, others: list[float]) -> None:
    look = look_at(CONTRACT, pairs_of(gains), 1, 0)
    assert 4 <= look.pairs <= 16
    assert look_at(CONTRACT, pairs_of([*gains[: look.pairs], *others]), 1, 0) == look


@given(GAINS, st.integers(0, 16), st.integers(1, 1000))
def test_a_look_holds_only_finite_numbers_that_go_to_the_ledger(gains: list[float], count: int, attempt: int) -> None:
    look = look_at(CONTRACT, pairs_of(gains[:count]), attempt, 0)
    assert 0 <= look.e_value <= MOST_EVIDENCE
    assert -1 <= look.low <= look.high <= 1
    assert 0 < look.level < float(CONTRACT.promotion.alpha)
    assert all(math.isfinite(number) for number in (look.e_value, look.level, look.gain, look.low, look.high))
    canonical_json(to_data(look))


def test_evidence_beyond_all_doubt_is_capped() -> None:
    look = look_at(replace(CONTRACT, promotion=replace(CONTRACT.promotion, pairs_min=16)), pairs_of([0.25] * 16), 1, 0)
    assert statistics.e_value([0.25] * 16) > MOST_EVIDENCE == look.e_value
    assert (look.standing, look.pairs, look.low, look.high) == ("proven", 16, 0.25, 0.25)
    assert decide(CONTRACT, replace(GOOD, look=look)).outcome == "accepted"


ALMOST = [0.08, -0.01, 0.03, 0.02, 0.03, 0.05, 0.05, 0.02, 0.01, -0.01, 0.02, 0.05, 0.01, 0.04, 0.04]


@pytest.mark.parametrize(
    ("gains", "standing", "pairs"),
    [
        ([], "more", 0),
        ([0.1], "more", 1),
        ([0.1] * 3, "more", 3),
        ([0.1] * 4, "more", 4),
        ([0.1] * 5, "proven", 5),
        ([0.1] * 16, "proven", 5),
        ([0.0] * 4, "futile", 4),
        ([-0.1, -0.2, -0.1, -0.2], "futile", 4),
        ([0.06, 0.0, 0.05, 0.02], "more", 4),
        (ALMOST, "more", 15),
        ([*ALMOST, 0.03], "undecided", 16),
        ([*ALMOST, 0.03, 0.03], "undecided", 16),
        ([0.06, -0.01] * 8, "futile", 10),
    ],
)
def test_a_look_stops_where_it_is_settled(gains: list[float], standing: Standing, pairs: int) -> None:
    look = look_at(CONTRACT, pairs_of(gains), 1, 0)
    assert (look.standing, look.pairs) == (standing, pairs)


def test_an_attempts_level_is_that_of_its_place_in_the_lineage() -> None:
    looks = [look_at(CONTRACT, pairs_of([0.1, 0.12, 0.09]), *place) for place in ((1, 0), (9, 0), (9, 4))]
    assert [(look.attempt, look.discoveries) for look in looks] == [(1, 0), (9, 0), (9, 4)]
    assert [look.level for look in looks] == [
        statistics.level(attempt, found, CONTRACT.promotion.alpha) for attempt, found in ((1, 0), (9, 0), (9, 4))
    ]
    assert looks[0].level > looks[1].level < looks[2].level


def test_a_gain_is_the_difference_of_decimals() -> None:
    exact = [0.001] * 4
    assert exact != [0.3 - 0.299] * 4
    look = look_at(CONTRACT, pairs_of(exact, control=0.299), 1, 0)
    assert (look.low, look.high, look.gain) == (0.001, 0.001, 0.0008)


def test_what_is_released_can_be_recomputed_from_what_is_released() -> None:
    gains = [0.031, 0.04, 0.027, 0.035, 0.029, 0.033, 0.038, 0.03]
    look = look_at(CONTRACT, pairs_of(gains), 2, 1)
    used = gains[: look.pairs]
    assert look.standing == "proven"
    assert look.e_value == pytest.approx(min(statistics.e_value(used), MOST_EVIDENCE), rel=1e-5)
    assert look.gain == pytest.approx(statistics.shrunken(used), abs=1e-6)
    assert (look.low, look.high) == pytest.approx(statistics.confidence_sequence(used, 0.05), abs=1e-6)


def test_what_is_released_of_a_look_has_six_digits() -> None:
    look = look_at(CONTRACT, pairs_of([0.031, 0.04, 0.027, 0.035, 0.01, 0.05]), 40, 0)
    assert (look.e_value, look.gain, look.low, look.high) == (93.4003, 0.027571, 0.006169, 0.058164)


BETTER, WORSE = [0.04, 0.041, 0.039, 0.042, 0.038, 0.04], [-0.04, -0.041, -0.039, -0.042, -0.038, -0.04]


@pytest.mark.parametrize(
    ("gains", "standing", "pairs", "gain"),
    [
        (BETTER, "futile", 4, 0.0324),
        (WORSE, "proven", 4, -0.0324),
        (WORSE[:3], "more", 3, -0.03),
        ([*ALMOST, 0.03], "futile", 4, 0.024),
        ([0.02, -0.03] * 8, "futile", 5, 0.0),
    ],
)
def test_a_rechallenge_proves_that_the_predecessor_is_better(
    gains: list[float], standing: Standing, pairs: int, gain: float
) -> None:
    """At the contract's alpha; the gain and its interval stay the champion's."""
    look = look_back(CONTRACT, pairs_of(gains))
    assert (look.standing, look.pairs, look.gain) == (standing, pairs, gain)
    assert (look.attempt, look.discoveries, look.level) == (1, 0, 0.05)
    assert look.low <= look.gain * (pairs + 1) / pairs + 1e-6
    assert look.high >= look.gain * (pairs + 1) / pairs - 1e-6


def test_a_rechallenge_ends_with_the_contracts_last_pair() -> None:
    few = replace(CONTRACT, promotion=replace(CONTRACT.promotion, pairs_min=2, pairs_max=3))
    assert [look_back(few, pairs_of(WORSE[:count])).standing for count in (1, 2, 3)] == ["more", "more", "proven"]
    assert look_back(few, pairs_of([-0.04, -0.03, -0.01])).standing == "undecided"


def test_a_pair_that_is_not_a_number_is_refused() -> None:
    (pair,) = pairs_of([0.1])
    broken = replace(pair, child=replace(pair.child, generalize=math.nan))
    with pytest.raises(AamsError, match="must be a finite number"):
        look_at(CONTRACT, [broken] * 4, 1, 0)


@given(GAINS, st.integers(1, 60))
def test_decided_and_looked_agree(gains: list[float], attempt: int) -> None:
    look = look_at(CONTRACT, pairs_of(gains), attempt, 0)
    decision = decide(CONTRACT, replace(GOOD, look=look))
    assert (decision.outcome == "accepted") == (look.standing == "proven")
    assert decision.criteria[0].passed == (decision.criteria[0].value >= decision.criteria[0].bound)
