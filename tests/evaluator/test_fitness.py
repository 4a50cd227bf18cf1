from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from aams.errors import AamsError
from aams.records import Pair, Run
from evaluator.fitness import gather_evidence, mean_voice, release, tone_drift
from evaluator.holdout import RunScore, SplitScore

STEP = Decimal("0.001")
VOICES = st.lists(st.floats(1e-6, 1), min_size=4, max_size=4).map(
    lambda values: tuple(value / math.fsum(values) for value in values)
)


def scored(arm: str, pair: int, recall: float, generalize: float, voice: tuple[float, ...] = (0.5, 0.5)) -> RunScore:
    run = Run(f"{arm}-{pair}", "child" if arm == "child" else "control", pair, "a" * 64, 1, 90)
    splits = {
        "replay": SplitScore(recall, 2.0, voice),
        "holdout": SplitScore(generalize, 2.12345, voice),
        "probe": SplitScore(0.5, 2.0, voice),
    }
    return RunScore(run, splits)


def test_evidence_is_the_means_over_runs_rounded_to_the_step() -> None:
    child = [scored("child", 0, 0.8, 0.83), scored("child", 1, 0.8004, 0.85)]
    control = [scored("control", 0, 0.79, 0.8), scored("control", 1, 0.79, 0.82)]
    evidence = gather_evidence(child, control, 0, STEP, (0.5, 0.5), best_recall=0.9)
    assert (evidence.child.recall, evidence.child.generalize, evidence.child.bits) == (0.8, 0.84, 2.123)
    assert evidence.control is not None
    assert evidence.control.generalize == 0.81
    assert evidence.pairs == (Pair(0, 0.83, 0.8), Pair(1, 0.85, 0.82))
    assert (evidence.child.tone_drift, evidence.root_drift, evidence.best_recall) == (0.0, 0.0, 0.9)


def test_tone_drift_is_against_the_control_and_against_the_root() -> None:
    child, control = [scored("child", 0, 0.8, 0.8, (0.6, 0.4))], [scored("control", 0, 0.8, 0.8, (0.5, 0.5))]
    evidence = gather_evidence(child, control, 3, STEP, root_voice=(1.0, 0.0))
    assert evidence.child.tone_drift == release(tone_drift((0.6, 0.4), (0.5, 0.5)), STEP) > 0
    assert evidence.root_drift > evidence.child.tone_drift
    assert evidence.voice == (0.6, 0.4)
    assert evidence.child.law_violations == 3


def test_a_root_is_measured_against_nothing() -> None:
    evidence = gather_evidence([scored("child", 0, 0.8, 0.83)], [], 0, STEP)
    assert (evidence.control, evidence.pairs, evidence.root_drift) == (None, (), 0.0)


@pytest.mark.parametrize(("child", "control"), [([], []), ([0, 1], [0]), ([0, 1], [1, 0]), ([], [0])])
def test_arms_that_are_not_paired_are_refused(child: list[int], control: list[int]) -> None:
    with pytest.raises(AamsError, match="same pairs of runs"):
        gather_evidence(
            [scored("child", pair, 0.5, 0.5) for pair in child],
            [scored("control", pair, 0.5, 0.5) for pair in control],
            0,
            STEP,
        )


@given(VOICES, VOICES)
def test_tone_drift_is_the_divergence_of_the_literature(voice: tuple[float, ...], other: tuple[float, ...]) -> None:
    drift = tone_drift(voice, other)
    assert 0 <= drift <= 1
    assert drift == pytest.approx(float(jensenshannon(voice, other, base=2)) ** 2, abs=1e-9)
    assert drift == pytest.approx(tone_drift(other, voice), abs=1e-12)


@given(VOICES)
def test_an_equal_voice_has_exactly_no_drift(voice: tuple[float, ...]) -> None:
    assert tone_drift(voice, voice) == 0.0


def test_disjoint_voices_drift_by_one() -> None:
    assert tone_drift((1.0, 0.0), (0.0, 1.0)) == 1.0
    with pytest.raises(AamsError, match="over different classes"):
        tone_drift((1.0,), (0.5, 0.5))


def test_voices_are_averaged_over_runs() -> None:
    scores = [scored("child", 0, 0.5, 0.5, (1.0, 0.0)), scored("child", 1, 0.5, 0.5, (0.5, 0.5))]
    assert mean_voice(scores) == (0.75, 0.25)


@pytest.mark.parametrize(
    ("value", "released"), [(0.8199999, 0.82), (0.00049, 0.0), (0.00051, 0.001), (1.0, 1.0), (0.0, 0.0), (1e35, 1e35)]
)
def test_scores_are_released_on_the_step(value: float, released: float) -> None:
    assert release(value, STEP) == pytest.approx(released, rel=1e-12)


@given(st.floats(0, 1))
def test_a_released_score_is_a_whole_number_of_steps_and_stays(value: float) -> None:
    released = release(value, STEP)
    assert Decimal(repr(released)) % STEP == 0
    assert release(released, STEP) == released
    assert abs(released - value) <= 0.0005000001


def test_what_is_not_finite_is_not_rounded_away() -> None:
    assert math.isnan(release(math.nan, STEP))
    assert math.isinf(release(math.inf, STEP))
