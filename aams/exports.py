"""What pictures and tables share: the end of a file's name says what is written, and a library may not be installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from aams.errors import failure


def kind_of(path: Path, kinds: Sequence[str]) -> str:
    """What a file is, by the end of its name.

    Raises:
        AamsError: it ends in none of `kinds`.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in kinds:
        raise failure("can't tell what kind of file this is", path.name, f"let it end in .{' or .'.join(kinds)}")
    return kind


def need(library: str) -> None:
    """Say what to install, where a library of the extra `plot` is missing.

    Raises:
        AamsError: it is not installed.
    """
    if find_spec(library) is None:
        advice = "pip install --require-hashes -r requirements/plot.lock"
        raise failure(f"{library} is not installed", advice=advice)
