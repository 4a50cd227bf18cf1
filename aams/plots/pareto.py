"""What was measured on two axes, and what nothing else beats on both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aams.plots.numbers import HIGHER_IS_BETTER, Axis, ParetoChart, ParetoPoint
from aams.plots.style import BLUE, INK, TRIAL, Mark, headline, legend, mark_of, put, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELLED = 24
"""Names of generations beside their marks; of more only those on the front."""

NAMES: dict[Axis, str] = {
    "fitness": "generalize on the holdout",
    "validation": "accuracy on validation",
    "parameters": "parameters",
    "flops": "training FLOPs a step",
    "memory": "bytes in training",
}
PLACES = ((1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a name may stand: right or left of its mark, above or below."""

ROOM = (0.12, 0.045)
"""Of a name, in parts of the axes."""

WIDE = 5.0
"""Costs that differ by more than this factor are shown on a logarithmic axis."""


def draw(figure: Figure, chart: ParetoChart) -> None:
    """Draw it: the better corner is named on the axes; a line joins the front."""
    figure.set_size_inches(6.6, 4.4)
    axes = figure.subplots()
    axes.grid()
    front = sorted({(one.x, one.y) for one in chart.points if one.best})
    across, up = zip(*front, strict=True) if front else ((), ())
    axes.plot(across, up, color=BLUE, linewidth=1.2, alpha=0.55, gid="front", zorder=2)
    for number, one in enumerate(chart.points):
        put(axes, _mark(one), one.x, one.y, one.generation or f"trial-{number}")
    _scale(axes, chart)
    _name(axes, chart)
    best = sum(one.best for one in chart.points)
    headline(
        axes,
        f"{chart.domain}: {NAMES[chart.y]} against {NAMES[chart.x]}",
        f"{best} of {len(chart.points)} on the front, where none is better on one axis and as good on the other",
    )
    line = ("front", {"color": BLUE, "linewidth": 1.2, "alpha": 0.55})
    legend(axes, map(_mark, chart.points), [line], loc="upper left", bbox_to_anchor=(0, -0.14), ncols=6)


def _name(axes: Axes, chart: ParetoChart) -> None:
    """Name generations where there is room, the champion and the front first."""
    named = [one for one in chart.points if one.generation and (one.best or len(chart.points) <= LABELLED)]
    taken: list[tuple[float, float]] = []
    for one in sorted(named, key=lambda one: (one.generation != chart.champion, not one.best)):
        reigns = one.generation == chart.champion
        across, up = axes.transAxes.inverted().transform(axes.transData.transform((one.x, one.y)))
        for side, height in PLACES:
            spot = (across + 0.1 * side, up + 0.04 * height)
            if all(abs(spot[0] - other[0]) > ROOM[0] or abs(spot[1] - other[1]) > ROOM[1] for other in taken):
                taken.append(spot)
                axes.annotate(
                    f"{one.generation} (champion)" if reigns else one.generation,
                    (one.x, one.y),
                    (7 * side, 4 * height),
                    textcoords="offset points",
                    color=INK,
                    fontsize=8,
                    fontweight="bold" if reigns else "normal",
                    ha="left" if side > 0 else "right",
                    va="center",
                )
                break


def _mark(point: ParetoPoint) -> Mark:
    return mark_of(point.outcome) if point.generation else TRIAL


def _scale(axes: Axes, chart: ParetoChart) -> None:
    from matplotlib.ticker import LogLocator

    for axis, name, values in (
        (axes.xaxis, chart.x, [one.x for one in chart.points]),
        (axes.yaxis, chart.y, [one.y for one in chart.points]),
    ):
        better = "higher is better" if name in HIGHER_IS_BETTER else "lower is better"
        axis.set_label_text(f"{NAMES[name]} ({better})")
        if name not in HIGHER_IS_BETTER and min(values) > 0 and max(values) / min(values) > WIDE:
            axis.axes.set(**{f"{axis.axis_name}scale": "log"})
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda value, _: short(value))
        axis.set_minor_formatter(lambda value, _: "")
