"""Arguments out of their limits are refused by name; the limits of a rate are exact."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from scipy.stats import beta

from aams.errors import AamsError
from evaluator.statistics import binomial_interval, confidence_sequence, futile, level, look

ORDER = "promotions must be at least 0 and fewer than attempts; got"


@pytest.mark.parametrize(
    ("attempt", "promotions", "alpha", "complaint"),
    [
        (0, 0, "0.05", f"{ORDER} 0 before attempt 0"),
        (3, 3, "0.05", f"{ORDER} 3 before attempt 3"),
        (3, -1, "0.05", f"{ORDER} -1 before attempt 3"),
        (1, 0, "1", "alpha must be above 0 and below 1; got 1.0"),
    ],
)
def test_an_impossible_history_has_no_level(attempt: int, promotions: int, alpha: str, complaint: str) -> None:
    with pytest.raises(AamsError, match=f"^{complaint}$"):
        level(attempt, promotions, Decimal(alpha))


@pytest.mark.parametrize("proof", [0.0, 1.0, math.nan])
def test_a_look_needs_a_level(proof: float) -> None:
    for use in (lambda: look([0.01], proof, 2, 4), lambda: futile([0.01], proof, 4)):
        with pytest.raises(AamsError, match=f"^level must be above 0 and below 1; got {proof}$"):
            use()


@pytest.mark.parametrize(("least", "most"), [(0, 4), (5, 4)])
def test_a_look_needs_an_order_of_limits(least: int, most: int) -> None:
    complaint = f"min_pairs must be at least 1 and at most max_pairs; got {least} and {most}"
    with pytest.raises(AamsError, match=f"^{complaint}$"):
        look([0.01], 0.1, least, most)


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_a_confidence_sequence_needs_an_alpha(alpha: float) -> None:
    with pytest.raises(AamsError, match=f"^alpha must be above 0 and below 1; got {alpha}$"):
        confidence_sequence([0.01], alpha)


@pytest.mark.parametrize(("hits", "trials"), [(0, 20), (20, 20), (1, 40), (7, 125), (250, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_the_interval_of_a_rate_is_exact(hits: int, trials: int, confidence: float) -> None:
    tail = (1 - confidence) / 2
    low, high = binomial_interval(hits, trials, confidence)
    assert low == pytest.approx(float(beta.ppf(tail, hits, trials - hits + 1)) if hits else 0.0)
    assert high == pytest.approx(float(beta.ppf(1 - tail, hits + 1, trials - hits)) if hits < trials else 1.0)
    assert 0 <= low <= hits / trials <= high <= 1


def test_the_interval_of_no_trials_is_everything() -> None:
    assert binomial_interval(0, 0) == (0.0, 1.0)
    assert binomial_interval(0, 20)[1] == pytest.approx(1 - 0.025 ** (1 / 20))


@pytest.mark.parametrize(
    ("hits", "trials", "confidence", "complaint"),
    [
        (3, 2, 0.95, "hits must be at least 0 and at most trials; got 3 of 2"),
        (-1, 2, 0.95, "hits must be at least 0 and at most trials; got -1 of 2"),
        (1, 2, 1.0, "confidence must be above 0 and below 1; got 1.0"),
        (1, 2, 0.0, "confidence must be above 0 and below 1; got 0.0"),
    ],
)
def test_an_impossible_rate_has_no_interval(hits: int, trials: int, confidence: float, complaint: str) -> None:
    with pytest.raises(AamsError, match=f"^{complaint}$"):
        binomial_interval(hits, trials, confidence)
