"""The sequential test of one attempt: the difference of each pair, and the evidence that they add up to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aams.plots.numbers import PairsChart
from aams.plots.style import BLUE, FAINT, INK, ORANGE, Mark, headline, plain, put, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAIR = Mark("pair", "o", BLUE, size=5.5)
ENDINGS = {
    "proven": "proven",
    "futile": "given up as futile",
    "undecided": "undecided",
    "more": "not decided yet",
}


def draw(figure: Figure, chart: PairsChart) -> None:
    """Draw it: above the differences with their mean and its interval, below the e-value against its level."""
    count = len(chart.differences)
    figure.set_size_inches(min(12.0, max(7.4, 2.4 + 0.24 * count)), 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    _differences(above, chart)
    _evidence(below, chart)
    below.set_xlim(0.4, count + 0.6)
    below.set_xticks(range(1, count + 1, -(-count // 24)))
    below.set_xlabel("pairs")
    said = f"{ENDINGS[chart.standing]} after {count} pairs"
    headline(
        above,
        f"{chart.domain}/{chart.generation}: {said}, {chart.outcome}",
        f"Child less control, pair by pair; the tint is the anytime-valid 95 % interval of their mean: "
        f"{chart.low:+.3f} to {chart.high:+.3f}",
    )
    figure.align_ylabels([above, below])


def _differences(axes: Axes, chart: PairsChart) -> None:
    axes.grid(axis="y")
    shown = [0.0, chart.mean, *chart.differences, *([] if chart.wanted is None else [chart.wanted])]
    low, high = min(shown), max(shown)
    room = max(high - low, 0.01)
    axes.axhspan(chart.low, chart.high, color=FAINT, linewidth=0, zorder=0, gid="interval")
    axes.axhline(0, color=INK, linewidth=1, gid="zero")
    axes.axhline(chart.mean, color=BLUE, linewidth=1.6, gid="mean")
    mean_is_higher = chart.wanted is None or chart.mean >= chart.wanted
    _beside(axes, chart.mean, f"mean {chart.mean:+.4f}", BLUE, mean_is_higher)
    if chart.wanted is not None:
        axes.axhline(chart.wanted, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)), gid="wanted")
        _beside(axes, chart.wanted, f"wanted {chart.wanted:+.4g}", ORANGE, not mean_is_higher)
    for number, difference in enumerate(chart.differences, 1):
        put(axes, PAIR, number, difference, f"pair-{number}")
    axes.set_ylim(low - 0.12 * room, high + 0.12 * room)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.3f}" if value else "0")
    axes.set_ylabel("difference in generalize")


def _evidence(axes: Axes, chart: PairsChart) -> None:
    axes.grid(axis="y")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.minorticks_off()
    numbers = range(1, len(chart.e_values) + 1)
    axes.axhline(1, color=INK, linewidth=1, gid="no-evidence")
    axes.axhline(chart.needed, color=ORANGE, linewidth=1.2, linestyle=(0, (4, 3)), gid="needed")
    _beside(axes, chart.needed, f"proof {plain(chart.needed)}", ORANGE, True)
    axes.plot(numbers, chart.e_values, color=BLUE, linewidth=1.6, gid="e-values")
    put(axes, PAIR, len(chart.e_values), chart.e_values[-1], "e-value")
    reached = chart.e_values[-1]
    axes.annotate(
        plain(reached), (len(chart.e_values), reached), (0, 7), textcoords="offset points", ha="center", color=INK
    )
    axes.set_ylim(min(0.5, *chart.e_values) / 1.8, max(chart.needed, *chart.e_values) * 4)
    axes.set_ylabel("e-value")


def _beside(axes: Axes, height: float, words: str, colour: str, above: bool) -> None:
    """Say what a line is, beyond its right end and so that two lines that are close can be read."""
    axes.annotate(
        words,
        (1, height),
        (5, 1 if above else -1),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=colour,
        fontsize=8,
        va="bottom" if above else "top",
    )
