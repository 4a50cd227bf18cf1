"""The screen: which trial, if any, is worth an attempt on the holdout.

Takes recomputed validation accuracies, gives the facts of a `screened` event. Costs no error budget and decides nothing
about promotion.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from safety.events import Screened, TrialScore


def screen(control: float, trials: Mapping[str, float | None], margin: Decimal) -> Screened:
    """Rank trials; the best one passes when it beats the control by the margin, in exact decimals.

    Args:
        control: validation accuracy of the control.
        trials: validation accuracy by spec id; None for one that was dropped, did not finish or could not be scored.
        margin: the contract's screen_margin.
    """
    scored = {spec: value for spec, value in trials.items() if value is not None and math.isfinite(value)}
    ranked = sorted(trials, key=lambda spec: (-scored.get(spec, -1.0), spec))
    best = ranked[0] if ranked and ranked[0] in scored else ""
    passed = bool(best) and math.isfinite(control) and Decimal(repr(scored[best])) - Decimal(repr(control)) >= margin
    return Screened(
        control=control,
        scores=tuple(TrialScore(spec, scored.get(spec)) for spec in ranked),
        margin=float(margin),
        best=best,
        passed=passed,
    )
