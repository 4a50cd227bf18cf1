"""How often nothing is promoted, and how often something is, with the noise of real trainings.

Attempts are drawn from the scores that `record_scores.py` recorded, by bootstrap over runs and over items, so that
the noise of seeds and of items is in every difference, and rounded as released scores are. A million of them go through
a vectorised screen that only says where the evidence would come to a stop; whatever it calls proven, and a sample of
the rest, goes through the arbiter itself, which must agree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open
from scipy.special import stdtr

from aams.cycle.lab import baseline
from aams.records import Look, Pair, Scores
from domains import DOMAINS, find_corpus
from evaluator import arbiter, statistics
from evaluator.fitness import gather_evidence, release
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import Looked

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
LIMITS, GAIN = CONTRACT.promotion, CONTRACT.criteria.generalize_gain
STEPS = int(1 / LIMITS.holdout_step)
CROSS_CHECKED = 0.001
"""Share of the attempts without proof that the arbiter is asked about, too."""
TRUE_GAIN, TRUE_SHARE = 0.03, 0.1
EFFECTS, PLACES = (0.02, 0.03, 0.04), (1, 10, 30, 100)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Size:
    """How large a proof is: lives of so many attempts each, drawn from so many resamples of the blocks."""

    lives: int
    attempts: int
    resamples: int


QUICK = Size(200, 20, 40)

Figure = Callable[[str, str], None]
BlockScores = Callable[[str, int], Ints]
Draw = Callable[[np.random.Generator, int], tuple[Ints, Ints]]
"""Released scores of child and control, (attempts, pairs) each, in steps of the contract."""


@pytest.fixture(scope="session")
def block_scores(item_scores: Callable[[str], NDArray[np.float32]]) -> BlockScores:
    """Gives released scores of a domain's runs on blocks of items drawn with replacement, (resamples, blocks, runs)."""

    @lru_cache
    def resample(domain: str, resamples: int) -> Ints:
        by_item = np.ascontiguousarray(item_scores(domain).T)
        shape = LIMITS.pairs_max, DOMAINS[domain].EVALUATED["holdout"]
        rng = np.random.default_rng(1)
        drawn = (by_item[rng.integers(0, len(by_item), shape)] for _ in range(resamples))
        return in_steps(np.stack([rows.mean(1, dtype=np.float64) for rows in drawn]))

    return resample


def in_steps(scores: NDArray[np.float64]) -> Ints:
    """Scores as they are released, in whole steps."""
    values, places = np.unique(scores, return_inverse=True)
    released = [round(release(value, LIMITS.holdout_step) * STEPS) for value in values.tolist()]
    return np.array(released)[places].reshape(scores.shape)


def pairs_of(table: Ints, effect: float = 0.0) -> Draw:
    """Pairs of different runs on equal blocks; the child's scores are lifted by the effect."""
    resamples, blocks, runs = table.shape

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        places = rng.integers(0, resamples, (count, 1)), np.arange(blocks)
        child = rng.integers(0, runs, (count, blocks))
        control = (child + rng.integers(1, runs, child.shape)) % runs
        return table[*places, child] + round(effect * STEPS), table[*places, control]

    return draw


def judge(child: Ints, control: Ints, attempt: int, discoveries: int) -> tuple[Look, bool]:
    """One attempt through the arbiter, every criterion but evidence and gain being satisfied."""
    scores = [[Scores(0.8, step / STEPS, 0.0) for step in arm.tolist()] for arm in (child, control)]
    pairs = tuple(Pair(place, *both) for place, both in enumerate(zip(*scores, strict=True)))
    look = arbiter.look_at(CONTRACT, pairs, attempt, discoveries)
    looked = Looked("G001", 0, pairs, (1.0,), (1.0,), look, look.standing)
    evidence = gather_evidence([looked], 0, LIMITS.holdout_step, (1.0,), 0.8)
    return look, arbiter.decide(CONTRACT, evidence).outcome == "accepted"


def stops(differences: Ints, levels: NDArray[np.float64]) -> tuple[Ints, Bools]:
    """`statistics.look` for many attempts at once: pairs used, and whether they prove the gain."""
    used, proven = np.full(len(levels), LIMITS.pairs_max), np.zeros(len(levels), dtype=bool)
    going, most = np.arange(len(levels)), LIMITS.pairs_max
    for count in range(LIMITS.pairs_min, most + 1):
        seen = differences[going, :count].astype(float)
        length = np.sqrt(count * (seen**2).sum(1))
        aligned = np.divide(seen.sum(1), length, out=np.zeros(len(going)), where=length > 0).clip(-1, 1)
        needed = -np.log(levels[going])
        found = log_evidence(count, aligned) >= needed
        way = statistics.ALLOWANCE * math.sqrt(1 / count - 1 / most)
        effect = np.tan(np.arcsin(aligned))
        hoped = math.sqrt(2) * np.sinh(np.arcsinh(effect / math.sqrt(2)) + way / math.sqrt(2))
        ended = found | (log_evidence(most, np.sin(np.arctan(hoped))) < needed)
        used[going[ended]] = count
        proven[going[found]] = True
        going = going[~ended]
    return used, proven


def log_evidence(count: int, aligned: NDArray[np.float64]) -> NDArray[np.float64]:
    """The formula that `statistics.e_value` tells of, by way of scipy."""
    spread = 1 + count * statistics.PRIOR_VARIANCE
    sine = aligned * math.sqrt((spread - 1) / spread)
    rest = (1 + (spread - 1) * (1 - aligned) * (1 + aligned)) / spread
    tail = 2 * stdtr(count, sine * np.sqrt(count / rest))
    logarithm: NDArray[np.float64] = np.log(np.maximum(tail, 1e-300)) - math.log(spread) / 2 - np.log(rest) * count / 2
    return logarithm


@dataclass(frozen=True, slots=True)
class Lives:
    """What became of many lineages' attempts, (attempts, lives) each.

    Attributes:
        promoted: by every criterion.
        better: whether the child truly was better.
        proven: by the evidence alone.
    """

    promoted: Bools
    better: Bools
    proven: Bools


def live(draw: Draw, size: Size, better: Draw | None = None, needs_gain: bool = True) -> Lives:
    """Let lineages live through their attempts; a promotion raises the levels of those that follow.

    Args:
        better: draws a tenth of the attempts, if given.
        needs_gain: whether a promotion takes more than evidence.
    """
    rng = np.random.default_rng(2)
    lives = size.lives
    promoted, proven, truly = (np.zeros((size.attempts, lives), dtype=bool) for _ in range(3))
    for place in range(size.attempts):
        child, control = draw(rng, lives)
        if better:
            truly[place] = rng.random(lives) < TRUE_SHARE
            arms = zip(better(rng, lives), (child, control), strict=True)
            child, control = (np.where(truly[place][:, None], *arm) for arm in arms)
        discoveries = promoted.sum(0)
        levels = [statistics.level(place + 1, found, LIMITS.alpha) for found in range(discoveries.max() + 1)]
        used, proven[place] = stops(child - control, np.array(levels)[discoveries])
        for life in np.flatnonzero(proven[place] | (rng.random(lives) < CROSS_CHECKED)):
            look, accepted = judge(child[life], control[life], place + 1, int(discoveries[life]))
            assert (look.pairs, look.standing == "proven") == (used[life], proven[place, life])
            promoted[place, life] = accepted if needs_gain else proven[place, life]
    return Lives(promoted, truly, proven)


def rate(hits: Bools) -> tuple[str, float]:
    """A share with its exact 95 % interval, and the interval's upper end."""
    low, high = statistics.binomial_interval(int(hits.sum()), len(hits))
    return f"{hits.mean():.4f} ({low:.4f} to {high:.4f})", high


def false_discovery(found: Lives) -> Bools:
    """Whether a discovery drawn at random from each life is false: its mean is the false discovery rate, exactly."""
    order = np.random.default_rng(3).random(found.promoted.shape)
    chosen = np.where(found.promoted, order, -1).argmax(0)
    lives = np.arange(found.promoted.shape[1])
    false: Bools = found.promoted[chosen, lives] & ~found.better[chosen, lives]
    return false


def shape_of(values: NDArray[Any]) -> str:
    """Skewness and excess kurtosis."""
    scaled = (values - values.mean()) / values.std()
    return f"skewness {(scaled**3).mean():+.2f} and excess kurtosis {(scaled**4).mean() - 3:+.2f}"


def one_sided(table: Ints, sign: int) -> Draw:
    """Children whose noise nothing balances: all of it is one arm's, around the mean of all runs."""
    resamples, blocks, runs = table.shape
    mean = table.mean()

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        noisy = table[rng.integers(0, resamples, (count, 1)), np.arange(blocks), rng.integers(0, runs, (count, blocks))]
        even = np.floor(mean + rng.random(noisy.shape)).astype(np.int64)
        return (noisy, even) if sign > 0 else (even, noisy)

    return draw


Noise = Callable[[np.random.Generator, tuple[int, int]], NDArray[np.float64]]

LIMITING: dict[str, Noise] = {
    "a rare loss (skewness -2, excess kurtosis 6)": lambda rng, shape: 1 - rng.exponential(size=shape),
    "two clusters (0, -1.7)": lambda rng, shape: rng.choice([-1.0, 1.0], shape) + 0.3 * rng.standard_normal(shape),
}


def invented(noise: Noise) -> Draw:
    """A null of one's own, its SD 20 steps."""

    def draw(rng: np.random.Generator, count: int) -> tuple[Ints, Ints]:
        control = np.full((count, LIMITS.pairs_max), STEPS // 2)
        return control + np.rint(20 * noise(rng, control.shape)).astype(np.int64), control

    return draw


def fooled(draw: Draw, size: Size) -> Bools:
    """Whether a life without an effect has a proof of one."""
    proven: Bools = np.any(live(draw, size, needs_gain=False).promoted, axis=0)
    return proven


@lru_cache
def known_to_fool(size: Size) -> dict[str, float]:
    """The share of lives with a false proof in noise of each limiting kind."""
    return {name: float(fooled(invented(noise), size).mean()) for name, noise in LIMITING.items()}


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_recorded_runs_are_of_the_baseline_as_it_is(domain: str) -> None:
    path = Path(__file__).parent / "scores" / f"{domain}.safetensors"
    with safe_open(path, "numpy") as file:
        told = json.loads(file.metadata()["recorded"])
    now = baseline(domain).id, DOMAINS[domain].COMPUTE_FLOPS, find_corpus(domain).id
    assert (told["spec"], told["compute_flops"], told["corpus"]) == now, "run tests/proofs/record_scores.py again"


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [QUICK, pytest.param(Size(10_000, 300, 400), marks=pytest.mark.proof)])
def test_a_child_that_is_its_parent_is_hardly_ever_promoted(
    domain: str, size: Size, block_scores: BlockScores, figure: Figure
) -> None:
    """Without an effect every promotion is false, so that the false discovery rate is the share of lives with one."""
    draw = pairs_of(block_scores(domain, size.resamples))
    share, high = rate(np.any(live(draw, size).promoted, axis=0))
    by_evidence, high_by_evidence = rate(fooled(draw, size))
    child, control = draw(np.random.default_rng(4), 50 * size.lives)
    few = (child - control)[:, : LIMITS.pairs_min].mean(1) >= float(GAIN) * STEPS
    figure(
        f"A/A, {domain}",
        f"lives with a false promotion, which is the false discovery rate: {share}; by evidence alone {by_evidence}; "
        f"allowed {LIMITS.alpha} ({size.lives:,} lives of {size.attempts} attempts). Its peer, a gain of {GAIN} over "
        f"{LIMITS.pairs_min} pairs without evidence: {1 - (1 - few.mean()) ** size.attempts:.2f} of lives",
    )
    assert max(high, high_by_evidence) <= LIMITS.alpha


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [QUICK, pytest.param(Size(1000, 300, 400), marks=pytest.mark.proof)])
def test_few_promotions_are_false_where_others_are_true(
    domain: str, size: Size, block_scores: BlockScores, figure: Figure
) -> None:
    table = block_scores(domain, size.resamples)
    found = live(pairs_of(table), size, better=pairs_of(table, TRUE_GAIN))
    share, high = rate(false_discovery(found))
    figure(
        f"false discovery rate, {domain}",
        f"{share}, allowed {LIMITS.alpha}, where one attempt in {1 / TRUE_SHARE:.0f} is better by {TRUE_GAIN} and "
        f"{found.promoted[found.better].mean():.2f} of these are promoted ({size.lives:,} lives of {size.attempts} "
        f"attempts; {(found.promoted & ~found.better).sum()} of {found.promoted.sum():,} promotions are false)",
    )
    assert high <= LIMITS.alpha


@pytest.mark.parametrize("domain", list(DOMAINS))
@pytest.mark.parametrize("size", [Size(20, 1, 40), pytest.param(Size(1000, 1, 400), marks=pytest.mark.proof)])
def test_a_gain_of_four_points_is_mostly_promoted(
    domain: str, size: Size, block_scores: BlockScores, figure: Figure
) -> None:
    """All of them go through the arbiter, as attempts of a lineage that was never promoted before."""
    table = block_scores(domain, size.resamples)
    texts, power = [], {}
    for effect in EFFECTS:
        arms = pairs_of(table, effect)(np.random.default_rng(5), size.lives)
        shares = []
        for attempt in PLACES:
            judged = [judge(*both, attempt, 0) for both in zip(*arms, strict=True)]
            power[effect, attempt] = sum(accepted for _, accepted in judged) / size.lives
            proven = sum(look.standing == "proven" for look, _ in judged) / size.lives
            shares.append(f"{power[effect, attempt]:.2f} ({proven:.2f})")
        texts.append(f"{effect:+}: {', '.join(shares)}")
    child, control = pairs_of(table)(np.random.default_rng(6), 10_000)
    figure(
        f"power, {domain}",
        f"share promoted (proven) at attempts {', '.join(map(str, PLACES))} within {LIMITS.pairs_max} pairs: "
        f"{'; '.join(texts)} (SD of a difference {(child - control).std() / STEPS:.4f}, {size.lives:,} attempts each)",
    )
    assert all(power[EFFECTS[-1], attempt] >= 0.8 for attempt in PLACES if attempt <= 30)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [QUICK, pytest.param(Size(1000, 300, 400), marks=pytest.mark.proof)])
def test_real_noise_does_not_fool_the_test_even_unbalanced(
    domain: str, size: Size, block_scores: BlockScores, figure: Figure
) -> None:
    """The limits that `evaluator.statistics` tells of, and the worst that the noise of one arm alone could do."""
    table = block_scores(domain, size.resamples)
    worst = max((fooled(one_sided(table, sign), size) for sign in (1, -1)), key=np.mean)
    child, control = pairs_of(table)(np.random.default_rng(6), 10_000)
    peers = known_to_fool(size)
    share, high = rate(worst)
    figure(
        f"real noise, {domain}",
        f"one arm's scores have {shape_of(table)}, differences {shape_of(child - control)}. Were all noise one arm's, "
        f"{share} of lives would have a false proof; what is known to fool the test: "
        + ", ".join(f"{name} {found:.2f}" for name, found in peers.items())
        + f" ({size.lives:,} lives of {size.attempts} attempts)",
    )
    assert high <= LIMITS.alpha
    assert all(found > 5 * worst.mean() for found in peers.values())
