from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.screen import screen

MARGIN = Decimal("0.005")


def test_the_best_trial_passes_when_it_beats_the_control_by_the_margin() -> None:
    screened = screen(0.5, {"a": 0.51, "b": 0.52, "c": 0.49}, MARGIN)
    assert [score.spec for score in screened.scores] == ["b", "a", "c"]
    assert (screened.best, screened.passed, screened.margin, screened.control) == ("b", True, 0.005, 0.5)


@pytest.mark.parametrize(("best", "passed"), [(0.505, True), (0.504999, False), (0.5, False), (0.4, False)])
def test_exactly_the_margin_passes(best: float, passed: bool) -> None:
    assert screen(0.5, {"a": best}, MARGIN).passed is passed


def test_equal_trials_are_ranked_alike_whatever_their_order() -> None:
    assert screen(0.5, {"b": 0.6, "a": 0.6}, MARGIN) == screen(0.5, {"a": 0.6, "b": 0.6}, MARGIN)
    assert screen(0.5, {"b": 0.6, "a": 0.6}, MARGIN).best == "a"


@pytest.mark.parametrize("trials", [{}, {"a": None}, {"a": math.nan, "b": None}])
def test_without_a_scored_trial_nothing_passes(trials: dict[str, float | None]) -> None:
    screened = screen(0.5, trials, MARGIN)
    assert (screened.best, screened.passed) == ("", False)
    assert all(score.accuracy is None for score in screened.scores)


def test_a_trial_that_did_not_finish_is_ranked_last() -> None:
    screened = screen(0.5, {"a": None, "b": 0.0}, MARGIN)
    assert [score.spec for score in screened.scores] == ["b", "a"]
    assert screened.best == "b"


def test_nothing_beats_a_control_that_is_not_a_number() -> None:
    assert not screen(math.nan, {"a": 1.0}, MARGIN).passed


@given(st.floats(0, 1), st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), min_size=1, max_size=5))
def test_the_best_is_never_worse_than_another(control: float, trials: dict[str, float]) -> None:
    screened = screen(control, trials, MARGIN)
    assert trials[screened.best] == max(trials.values())
    if screened.passed:
        assert trials[screened.best] > control
