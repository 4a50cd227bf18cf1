"""The one way AAMS says that something is wrong: where, what, got, what to do next.

Takes nothing from the other modules, so every room may raise it. A rejection by a gate or by the arbiter is data and
never one of these.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one place of one input."""

    what: str
    got: str = ""
    advice: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        parts = [part for part in (place, self.path, self.what) if part]
        sentence = ": ".join(parts)
        for addition in (f"got {self.got}" if self.got else "", self.advice):
            if addition:
                sentence += f"; {addition}"
        return sentence


class AamsError(Exception):
    """Bad input or a failed system: the command ends with exit status 1 and these problems on stderr."""

    exit_status = 1

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class SpecError(AamsError):
    """A spec that can't be read, or is not inside the search space."""


class ResultError(AamsError):
    """Something that came back from compute does not hold what its manifest demands."""


class LedgerError(AamsError):
    """The recorded history is broken, or what would be recorded contradicts it."""


class SignatureError(AamsError):
    """A signature does not hold: it is forged, or of a key that may not make it, or over something else."""


class LaneError(AamsError):
    """A place of compute failed: the trainer was killed, ran out of disk, or never started."""


def failure(what: str, got: object = "", advice: str = "", **place: str | int) -> AamsError:
    """Build the usual error: one problem, described by keywords of `Problem`."""
    return AamsError(Problem(what=what, got=str(got), advice=advice, **place))  # type: ignore[arg-type]
