"""Replaying the rungs of a trial: what was decided must follow from what was recorded.

Takes a manifest's inputs, the recorded rungs and how every run ended; says what does not fit. The rule is the trainer's
(`trainer/ladder.py`), stated again: rooms that travel and rooms that judge share no code. What a rung measured is the
trainer's claim, and decides only who was trained further; whoever is promoted is recomputed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from aams.records import Inputs

DECIMALS = 3
DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Rank:
    """What one child measured at a rung: bits per byte or answer on the validation split, rounded to `DECIMALS`."""

    run: str
    bits: float


@dataclass(frozen=True, slots=True)
class Decided:
    """One rung: who came to it, best first, and who went on."""

    percent: int
    ranks: tuple[Rank, ...]
    kept: tuple[str, ...]


class Ended(Protocol):
    """How a run ended: what the replay looks at."""

    @property
    def status(self) -> str:
        """Its status."""

    @property
    def reason(self) -> str:
        """Why it did not finish, or ""."""

    @property
    def steps(self) -> int:
        """How many it took."""


def rung_step(percent: int, steps: int) -> int:
    """Steps that a run of `steps` has taken when it comes to a rung."""
    return steps * percent // 100


def rank(bits: Mapping[str, float]) -> list[Rank]:
    """The runs that came to a rung, best first; equals go by name."""
    rounded = {run: round(value, DECIMALS) for run, value in bits.items()}
    return [Rank(run, rounded[run]) for run in sorted(rounded, key=lambda run: (rounded[run], run))]


def misfit(inputs: Inputs, rungs: Sequence[Decided], ended: Mapping[str, Ended]) -> str:
    """The first thing that the rule would have decided otherwise, as `where: what`; "" when all of it follows.

    Args:
        inputs: frozen.
        rungs: as recorded.
        ended: every run of the manifest by name.
    """
    if [rung.percent for rung in rungs] != [rung.percent for rung in inputs.rungs]:
        return "rungs: must be those of the manifest"
    steps = {run.name: run.steps for run in inputs.runs}
    climbing = {run.name for run in inputs.runs if run.arm == "child"}
    expected: dict[str, tuple[str, int]] = {}
    for number, (rung, planned) in enumerate(zip(rungs, inputs.rungs, strict=True)):
        at = f"rungs.{number}"
        bits = {one.run: one.bits for one in rung.ranks}
        names = [one.run for one in rung.ranks]
        if len(bits) != len(names) or not bits.keys() <= climbing:
            return f"{at}.ranks: must be of children that came there, each once"
        if min(bits.values(), default=0.0) < 0 or list(rung.ranks) != rank(bits):
            return f"{at}.ranks: must be rounded to {DECIMALS} decimals, and in order"
        if any(ended[run].status not in ("failed", "stopped") for run in climbing - bits.keys()):
            return f"{at}.ranks: must name every child that did not end before"
        if list(rung.kept) != names[: planned.keep]:
            return f"{at}.kept: must be the best {planned.keep}"
        for place, run in enumerate(names[planned.keep :], planned.keep + 1):
            reason = f"rung {rung.percent} %: place {place} of {len(names)}"
            expected[run] = (reason, rung_step(rung.percent, steps[run]))
        climbing = set(rung.kept)
    dropped = {run: (one.reason, one.steps) for run, one in ended.items() if one.status == DROPPED}
    if dropped != expected:
        odd = sorted(run for run in dropped.keys() | expected.keys() if dropped.get(run) != expected.get(run))
        return f"runs.{odd[0]}: must be dropped exactly where its rung drops it"
    return ""
