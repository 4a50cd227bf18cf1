"""How every picture looks, and how it becomes bytes: equal numbers give equal bytes under one release of matplotlib.

Takes a function that draws into an empty figure. Text stays text and none of it is a formula. An SVG follows the
reader's choice of dark or light; PNG and PDF are light. No setting of the user's own matplotlib has a say.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aams.experiments import Outcome
from aams.exports import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path as Shape

FORMATS = ("svg", "png", "pdf")

PAPER, INK, MUTED, GRID, FAINT = "#ffffff", "#1f2328", "#59636e", "#d8dee4", "#eaf2fb"
BLUE, GREY, ORANGE = "#0969da", "#818b98", "#bc4c00"
IN_THE_DARK = {
    PAPER: "#0d1117",
    INK: "#e6edf3",
    MUTED: "#9198a1",
    GRID: "#2f363e",
    FAINT: "#13233a",
    BLUE: "#4493f8",
    GREY: "#7d8590",
    ORANGE: "#e0823d",
}
"""Text has a contrast of at least 4.5 to its paper, marks of 3; a shape never differs from another by colour alone."""

SETTINGS = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "figure.facecolor": PAPER,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
    "path.simplify": False,
    "savefig.dpi": 200,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "none",
    "svg.hashsalt": "aams",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 8,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """How one kind of thing is shown: its word, its colour, filled or not, and its shape ("tombstone" is ours)."""

    word: str
    shape: str
    colour: str
    filled: bool = True
    size: float = 7.0


CHAMPION = Mark("accepted", "o", BLUE)
WAITING = Mark("undecided", "o", BLUE, filled=False)
REJECTED = Mark("rejected", "tombstone", GREY, size=10.0)
ENDED = Mark("given up", "tombstone", GREY, filled=False, size=10.0)
PLACEBO = Mark("placebo", "D", ORANGE, filled=False, size=6.0)
TRIAL = Mark("trial", "o", GREY, filled=False, size=3.5)
LEADER = Mark("trial ahead of its control", "o", BLUE, size=3.5)

OF_ATTEMPTS: dict[Outcome, Mark] = {
    "accepted": CHAMPION,
    "waiting": WAITING,
    "open": WAITING,
    "rejected": REJECTED,
    "placebo": PLACEBO,
}


def mark_of(outcome: Outcome) -> Mark:
    """How an attempt is shown."""
    return OF_ATTEMPTS.get(outcome, ENDED)


def render(draw: Callable[[Figure], None], title: str, kind: str) -> bytes:
    """Draw a picture.

    Args:
        draw: fills an empty figure, and gives it its size.
        title: of the file, for whoever can't see it.
        kind: one of `FORMATS`.

    Raises:
        AamsError: matplotlib is not installed.
    """
    need("matplotlib")
    from matplotlib.figure import Figure

    undated: dict[str, Any] = {
        "svg": {"Date": None, "Creator": None, "Title": title},
        "png": {"Software": None, "Title": title},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None, "Title": title},
    }[kind]
    with _settings():
        figure = Figure(layout="constrained")
        draw(figure)
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, metadata=undated)
    return _in_the_dark(stream.getvalue()) if kind == "svg" else stream.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def _in_the_dark(svg: bytes) -> bytes:
    """With a rule that gives each colour its twin where the reader prefers dark; who knows no such rule sees light."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in IN_THE_DARK.items()
        for what in ("fill", "stroke")
    )
    head, style, rest = svg.partition(b'<style type="text/css">')
    return head + style + f"@media(prefers-color-scheme:dark){{{rules}}}".encode("ascii") + rest


def headline(axes: Axes, title: str, below: str) -> None:
    """What the picture says, and in smaller words how to read it."""
    axes.set_title(f"{title}\n", loc="left", fontsize=11, fontweight="bold", color=INK)
    words = axes.annotate(below, (0, 1), (0, 6), "axes fraction", "offset points", color=MUTED, fontsize=8.5)
    words.set_in_layout(False)


def put(axes: Axes, mark: Mark, x: float, y: float, name: str = "") -> None:
    """Put one mark; `name` is its id in an SVG."""
    axes.plot([x], [y], linestyle="none", zorder=4, clip_on=False, **look_of(mark), gid=name or None)


def look_of(mark: Mark) -> dict[str, Any]:
    """A mark as matplotlib's keywords."""
    return {
        "marker": _tombstone() if mark.shape == "tombstone" else mark.shape,
        "markersize": mark.size,
        "markerfacecolor": mark.colour if mark.filled else PAPER,
        "markeredgecolor": mark.colour,
        "markeredgewidth": 1.2,
    }


def legend(axes: Axes, marks: Iterable[Mark], lines: Iterable[tuple[str, dict[str, Any]]] = (), **place: Any) -> None:
    """Tell what each mark is, once, in the order given."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], linestyle="none", label=mark.word, **look_of(mark)) for mark in dict.fromkeys(marks)]
    handles += [Line2D([], [], label=word, **look) for word, look in lines]
    axes.legend(handles=handles, handletextpad=0.4, columnspacing=1.4, borderaxespad=0, **place)


def short(value: float) -> str:
    """A number for an axis: 1.2k, 3M, 0.5."""
    for factor, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def plain(value: float) -> str:
    """An e-value for a reader: whole from 100 on, with three digits below, and with an exponent where it is huge."""
    return f"{value:,.0f}" if 100 <= value < 1e7 else f"{value:.3g}"


def _tombstone() -> Shape:
    """A stone with a round head, as high as the unit square is."""
    from matplotlib.path import Path

    corners = [(-0.36, -0.5), (-0.36, 0.1), (-0.36, 0.63), (0.36, 0.63), (0.36, 0.1), (0.36, -0.5), (-0.36, -0.5)]
    return Path(corners, [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4, Path.LINETO, Path.CLOSEPOLY])
