from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from aams.errors import AamsError
from aams.records import Arm, Fitness, Look, Pair, Run, Scores
from evaluator.fitness import gather_evidence, mean_voice, pair_up, release, release_drift, tone_drift
from evaluator.holdout import RunScore, SplitScore
from safety.events import Looked

STEP = Decimal("0.001")
VOICES = st.lists(st.floats(1e-6, 1), min_size=4, max_size=4).map(
    lambda values: tuple(value / math.fsum(values) for value in values)
)


def scored(arm: Arm, pair: int, recall: float, generalize: float, voice: tuple[float, ...] = (0.5, 0.5)) -> RunScore:
    run = Run(f"{arm}-{pair}", arm, pair, "a" * 64, 1, 90)
    splits = {
        "replay": SplitScore(recall, 2.0, voice),
        "holdout": SplitScore(generalize, 2.12345, voice),
        "probe": SplitScore(0.5, 2.0, voice),
    }
    return RunScore(run, splits)


def look_after(pairs: int) -> Look:
    return Look(1, 0, 0.01, 123.0, pairs, "proven", 0.02, 0.01, 0.03)


def looked(
    pairs: Sequence[Pair],
    look: Look | None,
    batch: int = 0,
    voice: tuple[float, ...] = (0.5, 0.5),
    control_voice: tuple[float, ...] = (0.5, 0.5),
) -> Looked:
    return Looked("G001", batch, tuple(pairs), voice, control_voice, look, look.standing if look else "proven")


def pairs_of(*scores: tuple[float, float], start: int = 0) -> tuple[Pair, ...]:
    """Pairs by their generalize, of child and control."""
    return tuple(
        Pair(start + number, Scores(0.8, child, 2.5), Scores(0.79, control, 2.6))
        for number, (child, control) in enumerate(scores)
    )


def test_runs_are_joined_by_their_block_and_released_on_the_step() -> None:
    child = [scored("child", 4, 0.80049, 0.83), scored("child", 5, 0.8, 0.85051)]
    control = [scored("control", 4, 0.79, 0.8), scored("control", 5, 0.79, 0.82)]
    assert pair_up(child, control, STEP) == (
        Pair(4, Scores(0.8, 0.83, 2.123), Scores(0.79, 0.8, 2.123)),
        Pair(5, Scores(0.8, 0.851, 2.123), Scores(0.79, 0.82, 2.123)),
    )


def test_a_root_has_pairs_without_a_control() -> None:
    assert pair_up([scored("root", 0, 0.8, 0.83)], [], STEP) == (Pair(0, Scores(0.8, 0.83, 2.123), None),)


@pytest.mark.parametrize(("child", "control"), [([], []), ([0, 1], [0]), ([0, 1], [1, 0]), ([], [0]), ([0], [0, 1])])
def test_arms_that_are_not_paired_are_refused(child: list[int], control: list[int]) -> None:
    with pytest.raises(AamsError, match="same pairs of runs"):
        pair_up(
            [scored("child", pair, 0.5, 0.5) for pair in child],
            [scored("control", pair, 0.5, 0.5) for pair in control],
            STEP,
        )


def test_evidence_is_the_means_over_pairs_rounded_to_the_step() -> None:
    pairs = pairs_of((0.83, 0.8), (0.85, 0.821), (0.85, 0.81))
    evidence = gather_evidence([looked(pairs, look_after(3))], 0, STEP, (0.5, 0.5), best_recall=0.9)
    assert evidence.child == Fitness(recall=0.8, generalize=0.843, tone_drift=0.0, bits=2.5, law_violations=0)
    assert evidence.control == Fitness(recall=0.79, generalize=0.81, tone_drift=0.0, bits=2.6, law_violations=0)
    assert evidence.pairs == pairs
    assert (evidence.root_drift, evidence.best_recall, evidence.look) == (0.0, 0.9, look_after(3))


def test_pairs_after_the_look_count_for_nothing() -> None:
    pairs = pairs_of((0.8, 0.7), (0.9, 0.7), (0.1, 0.9), (0.0, 1.0))
    evidence = gather_evidence([looked(pairs, look_after(2))], 0, STEP)
    assert evidence.pairs == pairs[:2]
    assert evidence.control
    assert (evidence.child.generalize, evidence.control.generalize) == (0.85, 0.7)


def test_all_batches_are_one_attempt_cut_where_its_last_look_stopped() -> None:
    first, second = pairs_of((0.8, 0.7), (0.8, 0.7)), pairs_of((0.9, 0.7), (0.0, 0.7), start=2)
    more = replace(look_after(2), standing="more")
    batches = [looked(first, more), looked(second, look_after(3), 1, voice=(), control_voice=())]
    evidence = gather_evidence(batches, 0, STEP)
    assert [pair.pair for pair in evidence.pairs] == [0, 1, 2]
    assert evidence.child.generalize == 0.833
    assert evidence.look == look_after(3)
    whole = looked((*first, *second), look_after(3))
    assert gather_evidence([whole], 0, STEP) == evidence, "however they were batched"


def test_the_voice_is_that_of_the_first_batch() -> None:
    first = looked(pairs_of((0.8, 0.7)), replace(look_after(1), standing="more"), 0, (0.6, 0.4), (0.5, 0.5))
    second = looked(pairs_of((0.8, 0.7), start=1), look_after(2), 1, (0.9, 0.1), (0.1, 0.9))
    evidence = gather_evidence([first, second], 0, STEP, root_voice=(0.5, 0.5))
    assert evidence.voice == (0.6, 0.4)
    assert evidence.child.tone_drift == evidence.root_drift == release_drift(tone_drift((0.6, 0.4), (0.5, 0.5)), STEP)


def test_tone_drift_is_against_the_control_and_against_the_root() -> None:
    one = looked(pairs_of((0.8, 0.8)), look_after(1), 0, (0.6, 0.4), (0.5, 0.5))
    evidence = gather_evidence([one], 3, STEP, root_voice=(1.0, 0.0))
    assert evidence.child.tone_drift == release_drift(tone_drift((0.6, 0.4), (0.5, 0.5)), STEP) > 0
    assert evidence.root_drift > evidence.child.tone_drift
    assert evidence.control and evidence.control.tone_drift == 0.0
    assert (evidence.child.law_violations, evidence.control.law_violations) == (3, 0)


def test_a_root_is_measured_against_nothing() -> None:
    pairs = (Pair(0, Scores(0.8, 0.83, 2.123), None), Pair(1, Scores(0.8, 0.84, 2.125), None))
    evidence = gather_evidence([looked(pairs, None, control_voice=())], 1, STEP)
    assert (evidence.control, evidence.look, evidence.root_drift, evidence.best_recall) == (None, None, 0.0, 0.0)
    assert evidence.pairs == pairs, "all of them: there is no look to cut them"
    assert evidence.child == Fitness(0.8, 0.835, 0.0, 2.124, 1)
    assert evidence.voice == (0.5, 0.5)


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


@pytest.mark.parametrize(
    ("drift", "released"), [(0.0, 0.0), (1e-17, 0.001), (0.05, 0.05), (0.0504, 0.051), (0.05000001, 0.051), (1.0, 1.0)]
)
def test_a_drift_is_released_upwards_so_that_none_slips_under_its_limit(drift: float, released: float) -> None:
    assert release_drift(drift, STEP) == released


def test_what_is_not_finite_is_not_rounded_away() -> None:
    assert math.isnan(release(math.nan, STEP))
    assert math.isinf(release(math.inf, STEP))
