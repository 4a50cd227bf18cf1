"""From what is on record of an attempt to its criteria: scores pass a threshold, their rounding never does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aams.records import Criterion, Evidence, Look, Pair, Scores
from evaluator.arbiter import decide
from evaluator.fitness import gather_evidence, tone_drift
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import Looked

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
EVEN = (0.5, 0.5)


def evidence_of(
    child: Sequence[float],
    control: Sequence[float],
    voice: tuple[float, ...] = EVEN,
    other: tuple[float, ...] = EVEN,
    root: tuple[float, ...] = EVEN,
) -> Evidence:
    """What is on record of runs with these accuracies, in recall as in generalize."""
    pairs = tuple(
        Pair(number, Scores(mine, mine, 2.5), Scores(theirs, theirs, 2.6))
        for number, (mine, theirs) in enumerate(zip(child, control, strict=True))
    )
    look = Look(1, 0, 0.01, 123.0, len(pairs), "proven", 0.02, 0.01, 0.03)
    return gather_evidence(
        [Looked("G001", 0, pairs, voice, other, look, look.standing)], 0, CONTRACT.promotion.holdout_step, root
    )


def criteria_of(evidence: Evidence) -> dict[str, Criterion]:
    return {criterion.name: criterion for criterion in decide(CONTRACT, evidence).criteria}


def test_a_mean_gain_that_reaches_its_threshold_only_rounded_does_not_pass() -> None:
    evidence = evidence_of([0.52, 0.52, 0.52, 0.519, 0.519], [0.5, 0.5, 0.5, 0.501, 0.501])
    assert evidence.control and (evidence.child.generalize, evidence.control.generalize) == (0.52, 0.5)
    decision = decide(CONTRACT, evidence)
    assert decision.outcome == "rejected"
    assert decision.reasons == ("Generalize 0.5196 is below 0.5204, the control's 0.5004 plus 0.02",)


def test_a_mean_recall_that_reaches_its_threshold_only_rounded_does_not_pass() -> None:
    evidence = evidence_of([0.45, 0.45, 0.45, 0.449, 0.449], [0.5, 0.5, 0.5, 0.501, 0.501])
    assert evidence.control and (evidence.child.recall, evidence.control.recall) == (0.45, 0.5)
    assert "Recall 0.4496 is below 0.4504, the control's 0.5004 less 0.05" in decide(CONTRACT, evidence).reasons


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=16))
def test_means_are_compared_exactly_however_many_runs_they_are_over(scores: list[tuple[int, int]]) -> None:
    child, control = [[one / 1000 for one in arm] for arm in zip(*scores, strict=True)]
    criteria = criteria_of(evidence_of(child, control))
    gain = sum(mine - theirs for mine, theirs in scores)
    assert criteria["generalize"].passed == (gain >= 20 * len(scores))
    assert criteria["recall"].passed == (gain >= -50 * len(scores))


def test_thirds_that_are_exactly_the_threshold_pass() -> None:
    assert criteria_of(evidence_of([0.82, 0.84, 0.84], [0.8, 0.82, 0.82]))["generalize"].passed


def test_a_drift_beyond_its_limit_by_less_than_a_rounding_does_not_pass() -> None:
    voice, other = (0.63139, 0.36861), (0.36861, 0.63139)
    assert 0.05 < tone_drift(voice, other) < 0.0505
    drift = criteria_of(evidence_of([0.6], [0.5], voice, other))["tone_drift"]
    assert (drift.value, drift.passed) == (0.051, False)


def test_a_drift_from_the_root_beyond_its_limit_by_less_than_a_rounding_does_not_pass() -> None:
    voice, root = (0.6, 0.4), (0.16603, 0.83397)
    assert 0.15 < tone_drift(voice, root) < 0.1505
    drift = criteria_of(evidence_of([0.6], [0.5], voice, voice, root))["tone_drift_root"]
    assert (drift.value, drift.passed) == (0.151, False)
