"""What commands print: one JSON object or lines on stdout, errors and notes on stderr.

Text that may come from a stranger is shown without control characters, so that no terminal obeys it; and an error or a
note keeps to its line, so that no newline in it begins an order to GitHub Actions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any
from unicodedata import category

from aams.errors import AamsError, Problem


def emit(args: Any, data: Any, lines: Iterable[str]) -> None:
    """Print `data` as one JSON object when --json was given, else the lines."""
    if args.json:
        print(json.dumps(data, ensure_ascii=True, allow_nan=False))
        return
    for line in lines:
        print(_one_line(line))


def note(*lines: str) -> None:
    """Tell a person something that is not the answer."""
    for line in lines:
        print(_one_line(line), file=sys.stderr)


def complain(error: AamsError, annotations: bool) -> None:
    """Print every problem of an error; as GitHub annotations for Actions when asked."""
    for problem in error.problems:
        print(_annotation(problem) if annotations else "error: " + _one_line(str(problem)), file=sys.stderr)


def _annotation(problem: Problem) -> str:
    place = ",".join(
        f"{name}={_escaped(printable(str(value)), ':,')}"
        for name, value in (("file", problem.file), ("line", problem.line), ("col", problem.column))
        if value
    )
    bare = Problem(problem.what, problem.got, problem.advice, path=problem.path)
    return f"::error {place}::{_escaped(printable(str(bare)), '')}"


def _escaped(text: str, more: str) -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def printable(text: str) -> str:
    """The text with every control and format character but newline and tab shown as its code point."""
    return "".join(c if c.isprintable() or c in "\n\t" or category(c) == "Zs" else f"\\u{ord(c):04x}" for c in text)


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\u000a")


def table(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> list[str]:
    """Align columns with two spaces between; columns in `right` are flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
