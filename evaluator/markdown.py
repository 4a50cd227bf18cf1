"""Markdown that shows what may be anybody's words, and does nothing by them.

Takes values, gives ASCII. Text that AAMS did not choose is shown as code, in one line or in a block that it can't
close: there no name is called, no link is made and no picture is fetched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

MAX_SHOWN = 200


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def json_text(value: object) -> str:
    """A value as JSON."""
    return json.dumps(value, sort_keys=True)


def code(text: str) -> str:
    """Text in one line of code; a bar would end a table's cell."""
    return f"`{line(text).replace('`', chr(39)).replace('|', '/')}`"


def line(text: str) -> str:
    """Text in one line of ASCII, cut short."""
    shown = ascii(text)[1:-1]
    return shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 3] + "..."


def block(text: str, language: str = "text") -> str:
    """Text in a block that none of it can close; its lines stay lines."""
    shown = "\n".join(ascii(one)[1:-1] for one in text.splitlines())
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", shown))]))
    return f"{fence}{language}\n{shown}\n{fence}"
