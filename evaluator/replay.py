"""Control against control: the A/A test that every recorded run gives for nothing.

Takes the validation accuracies of control runs, which differ by their seed alone, gives how often the arbiter's own
test would have promoted one half of them over the other. Trains nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from evaluator import statistics
from safety.contract import Promotion

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Replay:
    """How often equal runs were told apart.

    Attributes:
        runs: control runs that it rests on.
        draws: replayed attempts, drawn from them with equal seeds on every machine; they share runs.
        promoted: draws that would have been promoted.
        low, high: exact 95 % interval of the share, as if the draws were independent.
    """

    runs: int
    draws: int
    promoted: int
    low: float
    high: float


def replay(groups: Sequence[Sequence[float]], limits: Promotion) -> Replay:
    """Replay attempts at the level of a lineage's first one, the most lenient of all.

    Args:
        groups: scores of runs of one spec each; a group with too few runs for a look is left out.
        limits: the contract's.
    """
    usable = [list(group) for group in groups if len(group) >= 2 * limits.pairs_min]
    level = statistics.level(1, 0, limits.alpha)
    rng = Random(0)
    draws = DRAWS if usable else 0
    promoted = 0
    for draw in range(draws):
        drawn = rng.sample(usable[draw % len(usable)], len(usable[draw % len(usable)]))
        half = min(len(drawn) // 2, limits.pairs_max)
        gains = [_difference(drawn[2 * pair], drawn[2 * pair + 1]) for pair in range(half)]
        promoted += statistics.look(gains, level, limits.pairs_min, limits.pairs_max).verdict == "proven"
    low, high = statistics.binomial_interval(promoted, draws) if draws else (0.0, 1.0)
    return Replay(sum(map(len, usable)), draws, promoted, low, high)


def _difference(one: float, other: float) -> float:
    return float(Decimal(repr(one)) - Decimal(repr(other)))
