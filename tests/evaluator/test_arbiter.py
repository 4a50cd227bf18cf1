from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.canonical import canonical_json, to_data
from aams.records import Decision, Evidence, Fitness, Pair
from evaluator.arbiter import decide, refuse
from safety.contract import CONTRACT_PATH, load_contract

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
GOOD = Evidence(
    child=Fitness(recall=0.8, generalize=0.83, tone_drift=0.01, bits=2.5, law_violations=0),
    control=Fitness(recall=0.8, generalize=0.8, tone_drift=0.0, bits=2.6, law_violations=0),
    best_recall=0.8,
    root_drift=0.02,
    pairs=(Pair(0, 0.83, 0.8),),
    voice=(0.5, 0.5),
)
CRITERIA = ("generalize", "recall", "recall_best", "tone_drift", "tone_drift_root", "recall_floor", "law_violations")
THOUSANDTHS = st.integers(0, 1000).map(lambda number: number / 1000)


def change(arm: str = "child", **numbers: Any) -> Evidence:
    return replace(GOOD, **{arm: replace(getattr(GOOD, arm), **numbers)})


def test_a_better_child_is_accepted_with_every_number() -> None:
    decision = decide(CONTRACT, GOOD)
    assert decision.outcome == "accepted"
    assert tuple(criterion.name for criterion in decision.criteria) == CRITERIA
    assert decision.reasons[0] == "Generalize 0.83 is at least 0.82, the control's 0.8 plus 0.02"
    assert len(decision.reasons) == len(CRITERIA)


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
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
    root = replace(GOOD, control=None, pairs=(), best_recall=0.0, root_drift=0.0)
    decision = decide(CONTRACT, root)
    assert decision.outcome == "accepted"
    assert [criterion.name for criterion in decision.criteria] == ["recall_floor", "law_violations"]
    broken = replace(root, child=replace(root.child, law_violations=2))
    assert decide(CONTRACT, broken).outcome == "rejected"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["child", "control", "best_recall", "root_drift"])
def test_what_is_not_a_number_never_passes(place: str, number: float) -> None:
    changes = (
        [change(place, **{name: number}) for name in ("recall", "generalize", "tone_drift", "bits")]
        if place in ("child", "control")
        else [replace(GOOD, **{place: number})]
    )
    for evidence in changes:
        decision = decide(CONTRACT, evidence)
        assert decision.outcome == "rejected"
        assert decision.criteria == ()
        assert "is not a finite number" in decision.reasons[0]
        canonical_json(to_data(decision))


def test_a_child_that_could_not_be_scored_is_rejected_with_the_reason() -> None:
    assert refuse("child-0 can't be evaluated") == Decision("rejected", (), ("child-0 can't be evaluated",))


@given(THOUSANDTHS, THOUSANDTHS)
def test_the_gain_is_compared_as_decimals(child: float, control: float) -> None:
    evidence = replace(change(generalize=child), control=replace(GOOD.control or GOOD.child, generalize=control))
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
        evidence = replace(
            change(recall=round(recall - 0.01, 3)),
            control=replace(GOOD.control or GOOD.child, recall=recall),
            best_recall=best,
        )
        if decide(CONTRACT, evidence).outcome == "accepted":
            recall = evidence.child.recall
    assert recall == 0.85
