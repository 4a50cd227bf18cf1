"""Fitness: from per-run scores to the evidence that the arbiter judges.

Takes recomputed `RunScore`s of both arms, gives pairs and `Evidence` whose numbers are released ones: rounded to the
contract's step run by run, so that what was decided can be recomputed from what is published. Means are rounded once
more to be shown; the arbiter compares the pairs' own. Never decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_CEILING, Decimal

from aams.errors import failure
from aams.records import Evidence, Fitness, Pair, Scores
from evaluator.holdout import RunScore
from safety.events import Looked


def pair_up(child: Sequence[RunScore], control: Sequence[RunScore], step: Decimal) -> tuple[Pair, ...]:
    """Join the runs of two arms into observations.

    Args:
        child: runs of the child, or of a root, with scores on replay and holdout.
        control: runs of the control on the same blocks, in the same order; empty for a root.
        step: the contract's holdout_step; nothing finer is released.

    Raises:
        AamsError: an arm has no runs, or child and control are not paired.
    """
    if not child or (control and [score.run.pair for score in child] != [score.run.pair for score in control]):
        raise failure("child and control must have the same pairs of runs", f"{len(child)} and {len(control)} runs")
    others = [_scores(score, step) for score in control] if control else [None] * len(child)
    return tuple(Pair(score.run.pair, _scores(score, step), other) for score, other in zip(child, others, strict=True))


def gather_evidence(
    looked: Sequence[Looked],
    law_violations: int,
    step: Decimal,
    root_voice: Sequence[float] | None = None,
    best_recall: float = 0.0,
) -> Evidence:
    """Bring together what is on record about one attempt: pairs that its last look used, and the first batch's voice.

    Args:
        looked: every look at it, in order.
        law_violations: counted over all its runs, finished or not.
        step: the contract's holdout_step.
        root_voice: of the lineage's root, (classes,); None for a root.
        best_recall: released recall of the lineage's best champion.
    """
    first, look = looked[0], looked[-1].look
    pairs = tuple(pair for one in looked for pair in one.pairs)[: look.pairs if look else None]
    controls = [pair.control for pair in pairs if pair.control]
    drift = tone_drift(first.voice, first.control_voice) if controls else 0.0
    return Evidence(
        child=_fitness([pair.child for pair in pairs], drift, law_violations, step),
        control=_fitness(controls, 0.0, 0, step) if controls else None,
        best_recall=best_recall,
        root_drift=release_drift(tone_drift(first.voice, root_voice), step) if root_voice else 0.0,
        pairs=pairs,
        voice=first.voice,
        look=look,
    )


def tone_drift(voice: Sequence[float], other: Sequence[float]) -> float:
    """Jensen-Shannon divergence, base 2, of two distributions: 0 when equal, 1 when disjoint (Lin 1991).

    Raises:
        AamsError: they are over different classes.
    """
    if len(voice) != len(other):
        raise failure("two voices are over different classes", f"{len(voice)} and {len(other)}")
    middle = [(p + q) / 2 for p, q in zip(voice, other, strict=True)]
    terms = (x * math.log2(x / m) for side in (voice, other) for x, m in zip(side, middle, strict=True) if x > 0)
    return min(1.0, max(0.0, math.fsum(terms) / 2))


def mean_voice(scores: Sequence[RunScore]) -> tuple[float, ...]:
    """Mean predictive distribution over the probe and over runs, (classes,)."""
    voices = [score.splits["probe"].voice for score in scores]
    return tuple(_mean(values) for values in zip(*voices, strict=True))


def release(value: float, step: Decimal) -> float:
    """Round a score to the contract's step, to the nearest. NaN and infinities stay, to be refused by the arbiter."""
    if not math.isfinite(value):
        return value
    return float(round(Decimal(value) / step) * step)


def release_drift(value: float, step: Decimal) -> float:
    """Round a drift up to the contract's step: what is released as within a limit is within it."""
    return float((Decimal(repr(value)) / step).to_integral_value(ROUND_CEILING) * step)


def _scores(score: RunScore, step: Decimal) -> Scores:
    replay, holdout = score.splits["replay"], score.splits["holdout"]
    return Scores(release(replay.accuracy, step), release(holdout.accuracy, step), release(holdout.bits, step))


def _fitness(scores: Sequence[Scores], drift: float, law_violations: int, step: Decimal) -> Fitness:
    return Fitness(
        recall=release(_mean(score.recall for score in scores), step),
        generalize=release(_mean(score.generalize for score in scores), step),
        tone_drift=release_drift(drift, step),
        bits=release(_mean(score.bits for score in scores), step),
        law_violations=law_violations,
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
