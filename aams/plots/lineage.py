"""The tree of a domain: every generation below its parent, the rejected as tombstones, and the trials before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aams.plots.numbers import LineageChart, Node
from aams.plots.style import BLUE, GREY, GRID, INK, LEADER, MUTED, TRIAL, Mark, legend, mark_of, plain, put
from evaluator.markdown import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 120
"""Of the newest; a longer tree is cut at its old end."""

MAX_TRIALS = 12
"""Of a row, that are shown one by one."""

MAX_WORDS = 44
ROW, STEP, DOT = 0.26, 0.24, 0.105
HEAD, FOOT, EDGE = 0.86, 0.45, 0.25
"""Inches: a row's height, a generation's indent, the place of a trial, and the margins."""

UNSCORED = Mark("trial without a score", "x", GREY, size=3.5)


def draw(figure: Figure, chart: LineageChart) -> None:
    """Draw it: one row for each generation, time runs down; a line leads from each parent to its children."""
    shown = chart.nodes[-MAX_ROWS:]
    depths = _depths(chart.nodes, shown)
    tree = EDGE + STEP * (max(depths[id(node)] for node in shown) + 1)
    dots = DOT * max(2, *(min(MAX_TRIALS + 1, len(node.trials)) for node in shown))
    columns = [tree + 0.1, *(tree + dots + 0.35 + offset for offset in (0.0, 1.42, 2.2, 3.45))]
    width, height = columns[-1] + 2.9, HEAD + FOOT + ROW * len(shown)
    figure.set_layout_engine("none")
    figure.set_size_inches(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    _head(axes, chart, columns, len(shown))
    rows = {node.generation: HEAD + ROW * (number + 0.5) for number, node in enumerate(shown) if node.generation}
    _lines(axes, shown, depths, rows)
    for number, node in enumerate(shown):
        level = HEAD + ROW * (number + 0.5)
        if node.generation:
            put(axes, mark_of(node.outcome), EDGE + STEP * depths[id(node)], level, node.generation)
        _trials(axes, node, columns[0], level)
        _words(axes, node, chart.champion, columns, level)
    trials = [_mark_of(lead) for node in shown for lead in node.trials]
    marks = [mark_of(node.outcome) for node in shown if node.generation]
    place: dict[str, Any] = {"bbox_to_anchor": (EDGE / width, 0.14 / height), "loc": "lower left", "ncols": 7}
    legend(axes, [*marks, *(mark for mark in (LEADER, TRIAL, UNSCORED) if mark in trials)], **place)


def _depths(nodes: tuple[Node, ...], shown: tuple[Node, ...]) -> dict[int, int]:
    """How many ancestors each node has, by the node's identity (searches have no name), less those of all shown."""
    named: dict[str, int] = {}
    depths: dict[int, int] = {}
    for node in nodes:
        depths[id(node)] = named.get(node.parent, -1) + 1
        if node.generation:
            named[node.generation] = depths[id(node)]
    least = min(max(0, depths[id(node)] - bool(node.parent)) for node in shown)
    return {node: depth - least for node, depth in depths.items()}


def _head(axes: Axes, chart: LineageChart, columns: list[float], shown: int) -> None:
    generations = [node for node in chart.nodes if node.generation]
    accepted = sum(node.outcome == "accepted" for node in generations)
    trials = sum(len(node.trials) for node in chart.nodes)
    tried = f"{trials} trial{'' if trials == 1 else 's'}"
    title = f"{chart.domain}: {len(generations)} generations, {accepted} accepted, from {tried}"
    axes.text(EDGE - 0.08, 0.3, title, fontsize=11, fontweight="bold", va="center")
    if shown < len(chart.nodes):
        axes.text(EDGE - 0.08, 0.52, f"the newest {shown} of {len(chart.nodes)} rows", color=MUTED, va="center")
    for place, words in zip(
        columns, ("trials", "generation", "generalize", "e-value of needed", "what was changed"), strict=True
    ):
        axes.text(place, HEAD - 0.16, words, color=MUTED, fontsize=8, va="center")
    axes.plot((EDGE - 0.08, columns[-1] + 2.75), (HEAD - 0.03,) * 2, color=GRID, linewidth=0.8)


def _lines(axes: Axes, nodes: tuple[Node, ...], depths: dict[int, int], rows: dict[str, float]) -> None:
    """From each parent down and across; blue where a champion followed a champion."""
    for number, node in enumerate(nodes):
        if not node.parent:
            continue
        depth, level = depths[id(node)], HEAD + ROW * (number + 0.5)
        stem, start = EDGE + STEP * (depth - 1), rows.get(node.parent, HEAD)
        end = stem + STEP * (1.0 if node.generation else 0.55)
        promoted = node.outcome == "accepted"
        look: dict[str, Any] = {"color": BLUE, "linewidth": 1.6} if promoted else {"color": GREY, "linewidth": 0.8}
        axes.plot((stem, stem, end), (start, level, level), zorder=3 if promoted else 1, **look)


def _trials(axes: Axes, node: Node, start: float, level: float) -> None:
    """One small mark a trial, in the order proposed."""
    for number, lead in enumerate(node.trials[:MAX_TRIALS]):
        put(axes, _mark_of(lead), start + DOT * (number + 0.5), level)
    if len(node.trials) > MAX_TRIALS:
        more = f"+{len(node.trials) - MAX_TRIALS}"
        axes.text(start + DOT * (MAX_TRIALS + 0.2), level, more, color=MUTED, fontsize=7, va="center")


def _mark_of(lead: float | None) -> Mark:
    return UNSCORED if lead is None else LEADER if lead > 0 else TRIAL


def _words(axes: Axes, node: Node, champion: str, columns: list[float], level: float) -> None:
    def write(column: int, words: str, colour: str = INK, **look: Any) -> None:
        axes.text(columns[column], level, words, color=colour, fontsize=8.5, va="center", **look)

    if not node.generation:
        cycles = f"{node.cycles} cycles" if node.cycles > 1 else "one cycle"
        write(1, f"{cycles} without an attempt", MUTED)
        return
    reigns = node.generation == champion
    write(
        1, f"{node.generation} {'champion' if reigns else node.outcome}", **({"fontweight": "bold"} if reigns else {})
    )
    if node.generalize is not None:
        write(2, f"{node.generalize:.3f}")
    if node.e_value is not None and node.needed is not None:
        write(3, f"{plain(node.e_value)} of {plain(node.needed)}", INK if node.e_value >= node.needed else MUTED)
    words = line(node.operators)
    write(4, words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 3] + "...", MUTED)
