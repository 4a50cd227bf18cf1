"""The fitness of every generation, and the champion's line through them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aams.plots.numbers import FitnessChart
from aams.plots.style import BLUE, MUTED, Mark, headline, legend, mark_of, put

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELLED = 16
"""Generations that all have room for their names."""

SUBTITLE = "Mean over N runs on a holdout drawn anew for each; bars are 95 % intervals of that mean"
CONTROL = Mark("its control", "_", MUTED, size=8.0)


def draw(figure: Figure, chart: FitnessChart) -> None:
    """Draw it: x is the generation, y its mean generalize with a 95 % interval, N the runs behind the mean."""
    last = max(chart.points[-1].number, *(one.number for one in chart.reigns))
    figure.set_size_inches(min(12.0, max(6.6, 2.4 + 0.42 * last)), 3.7)
    axes = figure.subplots()
    axes.grid(axis="y")
    now = next((one.generalize for one in chart.points if one.generation == chart.champion), None)
    if now is not None:
        steps = [(one.number, one.generalize) for one in chart.reigns] + [(last + 0.5, now)]
        across, up = zip(*steps, strict=True)
        axes.plot(across, up, drawstyle="steps-post", color=BLUE, linewidth=1.6, gid="champion", zorder=2)
    for one in chart.points:
        mark = mark_of(one.outcome)
        if one.low is not None and one.high is not None:
            axes.vlines(
                one.number, one.low, one.high, color=mark.colour, linewidth=1.2, gid=f"{one.generation}-interval"
            )
        if one.control is not None:
            put(axes, CONTROL, one.number - 0.22, one.control, f"{one.generation}-control")
        put(axes, mark, one.number, one.generalize, one.generation)
    axes.set_xlim(-0.5, last + 0.5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3f}")
    axes.set_ylabel("generalize")
    _name(axes, chart)
    said = "no champion yet" if now is None else f"{chart.champion} is champion with {now:.3f}"
    headline(axes, f"{chart.domain}: {said}", SUBTITLE)
    marks = [mark_of(one.outcome) for one in chart.points]
    controls = [CONTROL] if any(one.control is not None for one in chart.points) else []
    line = ("champion", {"color": BLUE, "linewidth": 1.6})
    legend(axes, [*marks, *controls], [line], loc="upper left", bbox_to_anchor=(0, -0.17), ncols=6)


def _name(axes: Axes, chart: FitnessChart) -> None:
    """Name the generations below the axis, all of them while there is room."""
    stride = -(-len(chart.points) // LABELLED)
    shown = chart.points[::stride]
    axes.set_xticks([one.number for one in shown], [f"{one.generation}\nN {one.runs}" for one in shown], color=MUTED)
