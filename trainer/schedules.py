"""Learning-rate schedules: the share of the peak rate that a step gets.

Takes a schedule of a recipe, the step and the number of steps; gives a number. Never looks at losses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def share(schedule: Mapping[str, Any], step: int, steps: int) -> float:
    """Learning rate of update `step`, as a share of the peak.

    Warm-up rises in a straight line and reaches the peak with its last step. The way down starts at the peak and would
    reach the floor at `step == steps`, so that the last update still does something when the floor is 0.

    Args:
        schedule: `op` (constant, linear or cosine: Loshchilov & Hutter 2017, arXiv:1608.03983), `warmup` (share of the
            steps, in [0, 0.5]) and `floor` (share of the peak at the end, in [0, 1]).
        step: from 0.
        steps: of the whole run, at least 1.

    Returns:
        A number in (0, 1], or the floor at the end.
    """
    warmup: int = round(schedule["warmup"] * steps)
    if step < warmup:
        return (step + 1) / warmup
    if schedule["op"] == "constant":
        return 1.0
    remaining: float = 1 - (step - warmup) / (steps - warmup)
    if schedule["op"] == "cosine":
        remaining = (1 - math.cos(math.pi * remaining)) / 2
    floor: float = schedule["floor"]
    return floor + (1 - floor) * remaining
