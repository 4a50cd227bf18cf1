"""Records that skeletons speak in."""

from __future__ import annotations

from dataclasses import dataclass

from aams.strict import Path
from compiler.fields import Place, Tree


@dataclass(frozen=True, slots=True)
class Site:
    """One op where it stands. `repeat` equal ones in a row are one site.

    Sites may share a path, like the first block of a stage, which widens and shrinks, and the ones after it: their
    code is the same, they differ in the leading numbers of the call and in cost.
    """

    path: Path
    kind: str
    op: Tree
    place: Place
    repeat: int


@dataclass(frozen=True, slots=True)
class Misplaced:
    """A rule between several places of a spec that is broken at `path`."""

    path: Path
    what: str
    got: str
    advice: str
