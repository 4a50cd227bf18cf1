"""One picture of an attempt: its paired differences in order, their zero, and the gain that the contract asks for.

Takes pairs, gives SVG in ASCII that a browser, GitHub and a printer show alike. Numbers only: nothing that somebody
wrote gets into it.
"""

from __future__ import annotations

from collections.abc import Sequence

from aams.records import Pair

WIDTH, HEIGHT, MARGIN = 480, 200, 48


def picture(pairs: Sequence[Pair], wanted: float) -> str:
    """Draw the differences child - control of an attempt.

    Args:
        pairs: those that the look used, in order; each with its control.
        wanted: the contract's gain, drawn as a dashed line.
    """
    gains = [pair.child.generalize - pair.control.generalize for pair in pairs if pair.control]
    reach = max(0.01, wanted, *(abs(gain) for gain in gains)) * 1.1

    def height(gain: float) -> float:
        return HEIGHT / 2 - gain / reach * (HEIGHT / 2 - MARGIN / 2)

    step = (WIDTH - 2 * MARGIN) / max(1, len(gains))
    mean = sum(gains) / len(gains) if gains else 0.0
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif"'
        f' font-size="11"><title>Paired differences of {len(gains)} pairs</title>',
        "<style>text{fill:#57606a}line{stroke:#57606a}.mean{stroke:#0969da;stroke-width:2}.dot{fill:#0969da}</style>",
        _level(height(0.0), 11, "0", ""),
        _level(height(wanted), -3, f"+{wanted:g}", ' stroke-dasharray="4 3"'),
        f'<line class="mean" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{height(mean):.1f}" y2="{height(mean):.1f}"/>',
        f'<text x="{WIDTH - MARGIN + 4}" y="{height(mean) + 4:.1f}">{mean:+.3f}</text>',
    ]
    for index, gain in enumerate(gains):
        x = MARGIN + (index + 0.5) * step
        lines.append(f'<circle class="dot" cx="{x:.1f}" cy="{height(gain):.1f}" r="4"/>')
        lines.append(f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{index + 1}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _level(y: float, below: int, label: str, dashes: str) -> str:
    """A line across, its label below it or above, so that two that are close can be read."""
    line = f'<line x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:.1f}" y2="{y:.1f}"{dashes}/>'
    return f'{line}<text x="{MARGIN - 4}" y="{y + below:.1f}" text-anchor="end">{label}</text>'
