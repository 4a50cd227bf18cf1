"""Statistics: when a difference between child and control is more than luck.

Takes the differences d_i = score(child_i) - score(control_i) of one attempt, independent and in the order in which
the pairs were drawn, and a level; gives e-values, a verdict per look, intervals and estimates. Plain float64: no
randomness, no state, so a verdict is recomputed from released scores alone. Never decides a promotion (the arbiter
does), reads no file, and never looks past the pair at which it stops.

The test sees the differences only through r = sum d / sqrt(n sum d^2), which is t / sqrt(n - 1 + t^2). It is exact for
normal differences. Measured over 100,000 lifetimes without an effect, looked at from 4 to 16 pairs: the share that ever
reaches 40 and 677 (allowed: 0.0250 and 0.0015) is

    normal                     0.0106  0.0005        uniform                          0.0201  0.0018
    normal, mean -0.2 SD       0.0032  0.0001        rare gain (exponential)          0.0007  0.0000
    rounded, step = SD         0.0101  0.0011        rare loss (minus exponential)    0.1080  0.0245
    Student, 3 deg. freedom    0.0064  0.0002        two clusters (-1, 1, SD 0.3)     0.0494  0.0095

So it is no defence against disasters that are rare among small gains, nor against runs that fall into two camps. Where
both arms have the same noise, as with placebos, d is symmetric and the first can't happen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from aams.errors import failure

PRIOR_VARIANCE = 4
"""Of the effect size (mean over SD of d): a half-normal prior of scale 2, a normal one where both signs count."""

LARGEST_E_VALUE = 1e300
"""What is larger is given as this: JSON has no infinity, and less evidence is never a false promotion."""

OFFSET = 12
"""Added to the attempt's number in e-LOND's sequence; see `level`."""

ALLOWANCE = 2.0
"""Standard deviations of luck that `futile` grants to the pairs still to come."""

Verdict = Literal["proven", "futile", "undecided", "more"]


@dataclass(frozen=True, slots=True)
class Look:
    """Where looking at the pairs in order came to a stop.

    `pairs` is the number used and `e_value` the evidence after them. "more": the given pairs ran out before a stop.
    """

    verdict: Verdict
    pairs: int
    e_value: float
    level: float


def e_value(differences: Sequence[float]) -> float:
    """Evidence against H0: E[d] <= 0, for d > 0, with unknown variance: the scale-invariant t-test e-process.

    The Bayes factor of r (of t, from two pairs on) for a half-normal prior of scale s = 2 on the effect size against
    none (Perez-Ortiz, Lardy, de Heide, Grunwald 2022). With Y ~ chi_n it is E[exp(-n delta^2 / 2 + delta sqrt(n) r Y)],
    averaged over the prior. Both integrals have a closed form: with v = 1 + n s^2, c = r sqrt(n s^2 / v) and F_n
    Student's distribution function, n degrees of freedom, e = 2 F_n(c sqrt(n / (1 - c^2))) / (sqrt(v) (1 - c^2)^(n/2)).

    Under H0 a process of these ever reaches 1/a with probability at most a (Ville); a mean below 0 only lowers every
    value of it. Without pairs it is 1. One pair speaks by its sign: 1.70 or 0.30 (a 1 there would break the
    martingale). Zeros alone are a mean of 0 like any other, r = 0: below 1.

    Args:
        differences: (pairs,) finite, of any scale.

    Returns:
        At least 0, at most `LARGEST_E_VALUE`.

    Raises:
        AamsError: a difference is not finite.
    """
    return _evidence(len(differences), _alignment(differences))


def e_path(differences: Sequence[float]) -> tuple[float, ...]:
    """The e-value after each pair, (pairs,): entry i is exactly `e_value(differences[:i + 1])`."""
    return tuple(e_value(differences[:count]) for count in range(1, len(differences) + 1))


def level(attempt: int, promotions: int, alpha: Decimal) -> float:
    """The level of a lineage's next attempt: promote when e >= 1 / level (e-LOND, Xu & Ramdas 2024).

    alpha * gamma_t * (promotions + 1) with gamma_t = log(12.5) / ((t + 12) log^2(t + 12)). The sum of gamma is below 1:
    1 / (x log^2 x) is convex, so each term is below its integral from t - 1/2 to t + 1/2, and all together below
    log(12.5) * integral from 12.5 of dx / (x log^2 x) = 1. Then the false discovery rate stays <= alpha over the whole
    life, provided that an attempt's pairs are fresh: independent of what chose its level. Any promotion in 300
    attempts without an effect, alpha = 0.05, 600 lives: 0.00 normal, 0.00 Laplace, 0.02 rounded (step = SD), 0.04
    uniform; but 0.40 in two clusters and 0.72 with a rare loss, the limits that the module's docstring tells of.

    The offset 12 gives the highest mean power over attempts 1 to 100 at effects of 1.5 and 2 SD (smaller ones spend
    too much on the first attempts; 27 wins 1 point at attempt 100 and loses 3 at the first). Power for alpha = 0.05,
    without promotions, 16 pairs, 40,000 lifetimes:

        effect in SD | attempt 1    10    30   100
        1.5          |      0.79  0.68  0.52  0.32
        2            |      0.98  0.96  0.91  0.77
        3            |      1.00  1.00  1.00  1.00

    Args:
        attempt: number of the attempt in its lineage, from 1.
        promotions: of the lineage before this attempt.
        alpha: the false discovery rate to stay under, in (0, 1).

    Returns:
        In (0, alpha).

    Raises:
        AamsError: an argument is out of its range.
    """
    if not 0 <= promotions < attempt:
        raise failure("promotions must be at least 0 and fewer than attempts", f"{promotions} before attempt {attempt}")
    _between("alpha", float(alpha))
    place = attempt + OFFSET
    gamma = math.log(OFFSET + 0.5) / (place * math.log(place) ** 2)
    return float(alpha) * gamma * (promotions + 1)


def futile(differences: Sequence[float], level: float, max_pairs: int) -> bool:
    """Whether even good luck in the pairs to come would leave the evidence short of 1 / level. Can only reject.

    The effect size g = mean / SD is stretched to y = sqrt(2) asinh(g / sqrt(2)), whose variance is 1/n whatever the
    effect (Hedges & Olkin 1985), so that the way from n to max_pairs has the variance 1/n - 1/max_pairs; y plus
    `ALLOWANCE` such standard deviations is the optimistic end. At max_pairs, what is not proven is futile.

    Measured, 20,000 lifetimes of 4 to 16 pairs: at levels of 1/40, 1/677, 1/4,000 and 1/20,000 an attempt without an
    effect takes 5.6, 4.8, 4.5 and 4.3 pairs instead of 16, and the power lost is at most 0.4 points (1 SD at 1/40;
    below 0.1 from 2 SD on). With 32 pairs at most: 8.7, 7.1, 6.4 and 5.9 instead of 32, and 1.6 points.

    Args:
        differences: (pairs,) finite.
        level: in (0, 1).
        max_pairs: of the attempt.

    Raises:
        AamsError: a difference is not finite, or the level is out of its range.
    """
    _between("level", level)
    count = len(differences)
    if count == 0:
        return False
    way = ALLOWANCE * math.sqrt(max(0.0, 1 / count - 1 / max_pairs))
    effect = math.tan(math.asin(_alignment(differences)))
    hoped = math.sqrt(2) * math.sinh(math.asinh(effect / math.sqrt(2)) + way / math.sqrt(2))
    return _evidence(max(count, max_pairs), math.sin(math.atan(hoped))) < 1 / level


def look(differences: Sequence[float], level: float, min_pairs: int, max_pairs: int) -> Look:
    """Look at the pairs in order and stop at the first that settles the attempt.

    From min_pairs on it stops where e >= 1 / level ("proven"), at max_pairs ("undecided"), or where it is `futile`.
    Pairs after the stop are not looked at, so that it does not matter in how many batches they were trained.

    Args:
        differences: (pairs,) in the order in which they were drawn.
        level: in (0, 1), from `level`.
        min_pairs: at least 1.
        max_pairs: at least min_pairs.

    Raises:
        AamsError: a difference looked at is not finite, or an argument is out of its range.
    """
    _between("level", level)
    if not 1 <= min_pairs <= max_pairs:
        raise failure("min_pairs must be at least 1 and at most max_pairs", f"{min_pairs} and {max_pairs}")
    for count in range(min_pairs, min(len(differences), max_pairs) + 1):
        seen = differences[:count]
        evidence = e_value(seen)
        if evidence >= 1 / level:
            return Look("proven", count, evidence, level)
        if count == max_pairs:
            return Look("undecided", count, evidence, level)
        if futile(seen, level, max_pairs):
            return Look("futile", count, evidence, level)
    return Look("more", len(differences), e_value(differences), level)


def confidence_sequence(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """An interval for the mean of d that holds after every pair at once with probability 1 - alpha.

    The means that the two-sided e-process, with a normal prior of scale 2 on the effect size, does not refute at
    1 / alpha (Wang & Ramdas 2024, whose mixture over the effect is Lai's 1976 made a proper one). It needs pairs
    before it says anything: 4 for alpha = 0.05. Equal differences give a point, as the SD they show is 0.

    Args:
        differences: (pairs,) finite.
        alpha: in (0, 1).

    Returns:
        Lowest and highest mean in the unit of d; (-inf, inf) while nothing is refuted.

    Raises:
        AamsError: a difference is not finite, or alpha is out of its range.
    """
    _between("alpha", alpha)
    scaled, scale = _scaled(differences)
    count = len(scaled)
    if count < 2:
        return -math.inf, math.inf
    spread = 1 + count * PRIOR_VARIANCE
    square = -math.expm1((2 * math.log(alpha) - math.log(spread)) / count) * spread / (spread - 1)
    if square >= 1:
        return -math.inf, math.inf
    mean = math.fsum(scaled) / count
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / count)
    width = deviation * math.sqrt(square / (1 - square))
    return (mean - width) * scale, (mean + width) * scale


def shrunken(differences: Sequence[float]) -> float:
    """The effect to remember, in the unit of d: mean * n / (n + 1), against the winner's curse.

    The posterior mean when an effect of 1 SD is typical beforehand: a normal prior worth one pair (Kass & Wasserman
    1995, unit information). Being Bayesian, it does not mind that looking stopped when the evidence was high: with
    effects from that prior, proven ones were 1.54 SD, their means said 1.70 and this 1.54. 0 without pairs.

    Raises:
        AamsError: a difference is not finite.
    """
    scaled, scale = _scaled(differences)
    return math.fsum(scaled) / (len(scaled) + 1) * scale


def binomial_interval(hits: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval for a rate, such as that of false promotions (Clopper & Pearson 1934); (0, 1) without trials.

    Raises:
        AamsError: hits are not among the trials, or the confidence is not in (0, 1).
    """
    from scipy.special import betaincinv  # late: it costs more than all of `import aams`

    if not 0 <= hits <= trials:
        raise failure("hits must be at least 0 and at most trials", f"{hits} of {trials}")
    _between("confidence", confidence)
    tail = (1 - confidence) / 2
    low = float(betaincinv(hits, trials - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - tail)) if hits < trials else 1.0
    return low, high


def _evidence(count: int, alignment: float) -> float:
    """The e-value of `count` pairs with this r in [-1, 1]; the formula is in `e_value`."""
    spread = 1 + count * PRIOR_VARIANCE
    sine = alignment * math.sqrt((spread - 1) / spread)
    rest = (1 + (spread - 1) * (1 - alignment) * (1 + alignment)) / spread  # 1 - sine^2
    if sine * math.sqrt(count / rest) < -2:  # F_n's argument: below it 1 + central would cancel
        return _lower_tail(count, -sine, rest) / math.sqrt(spread)
    # Student's distribution function at whole degrees of freedom, twice it less 1: Abramowitz & Stegun 26.7.3, 26.7.4.
    odd = count % 2
    term, total = 1.0, 0.0
    for index in range(count // 2):
        total += term
        term *= rest * (2 * index + 1 + odd) / (2 * index + 2 + odd)
    central = sine * total
    if odd:
        central = 2 / math.pi * (math.atan2(sine, math.sqrt(rest)) + central * math.sqrt(rest))
    exponent = math.log1p(central) - math.log(spread) / 2 - math.log(rest) * count / 2
    return math.exp(min(exponent, math.log(LARGEST_E_VALUE)))


def _lower_tail(count: int, sine: float, rest: float) -> float:
    """2 F_n / rest^(n/2) below zero, where 1 - central would cancel: the series of the incomplete beta function."""
    half = count / 2
    term = sine * math.exp(math.lgamma(half + 0.5) - math.lgamma(half + 1)) / math.sqrt(math.pi)
    total, index = 0.0, 0
    while term > total * 1e-17:
        total += term
        index += 1
        term *= rest * (half + index - 0.5) / (half + index)
    return total


def _alignment(differences: Sequence[float]) -> float:
    """Give r = sum d / sqrt(n sum d^2), in [-1, 1]: how much the differences point one way; 0 without any."""
    scaled, _ = _scaled(differences)
    squares = math.fsum(value * value for value in scaled)
    if not squares:
        return 0.0
    return max(-1.0, min(1.0, math.fsum(scaled) / math.sqrt(len(scaled) * squares)))


def _scaled(differences: Sequence[float]) -> tuple[list[float], float]:
    """The differences over the largest of them, so that no square over- or underflows, and that largest."""
    for place, value in enumerate(differences):
        if not math.isfinite(value):
            raise failure("a difference between child and control must be a finite number", value, path=f"pair {place}")
    scale = max([math.ulp(0.0), *map(abs, differences)])  # above 0 even where they all are 0
    return [value / scale for value in differences], scale


def _between(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise failure(f"{name} must be above 0 and below 1", value)
