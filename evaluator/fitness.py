"""Fitness: from per-run scores to the evidence that the arbiter judges.

Takes recomputed `RunScore`s of both arms, gives `Evidence` whose numbers are released ones: means over runs, rounded
to the contract's step, so that what was decided can be recomputed from what is published. Never decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal

from aams.errors import failure
from aams.records import Evidence, Fitness, Pair
from evaluator.holdout import RunScore


def gather_evidence(
    child: Sequence[RunScore],
    control: Sequence[RunScore],
    law_violations: int,
    step: Decimal,
    root_voice: Sequence[float] | None = None,
    best_recall: float = 0.0,
) -> Evidence:
    """Bring together what is known of one attempt.

    Args:
        child: finished runs of the child, or of a root, with scores on replay, holdout and probe.
        control: finished runs of the control on the same splits; empty for a root.
        law_violations: counted over all runs of the child, finished or not.
        step: the contract's holdout_step; nothing finer is released.
        root_voice: of the lineage's root, (classes,); None for a root.
        best_recall: released recall of the lineage's best champion.

    Raises:
        AamsError: an arm has no runs, or child and control are not paired.
    """
    if not child or (control and [score.run.pair for score in child] != [score.run.pair for score in control]):
        raise failure("child and control must have the same pairs of runs", f"{len(child)} and {len(control)} runs")
    voice = mean_voice(child)
    parent_voice = mean_voice(control) if control else voice
    pairs = (
        Pair(
            child_score.run.pair,
            release(child_score.splits["holdout"].accuracy, step),
            release(control_score.splits["holdout"].accuracy, step),
        )
        for child_score, control_score in zip(child, control, strict=False)
    )
    return Evidence(
        child=_fitness(child, tone_drift(voice, parent_voice), law_violations, step),
        control=_fitness(control, 0.0, 0, step) if control else None,
        best_recall=best_recall,
        root_drift=release(tone_drift(voice, root_voice), step) if root_voice else 0.0,
        pairs=tuple(pairs),
        voice=voice,
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


def _fitness(scores: Sequence[RunScore], drift: float, law_violations: int, step: Decimal) -> Fitness:
    return Fitness(
        recall=release(_mean(score.splits["replay"].accuracy for score in scores), step),
        generalize=release(_mean(score.splits["holdout"].accuracy for score in scores), step),
        tone_drift=release(drift, step),
        bits=release(_mean(score.splits["holdout"].bits for score in scores), step),
        law_violations=law_violations,
    )


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
