"""What a planner is asked, and what every planner does alike: draw until enough new children are there.

An `Observation` is folded from the ledger by who asks; a planner keeps nothing between two calls, so that the ledger is
all there is to know. Planners never look at data, weights or files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeAlias

from aams.records import Child, Spec

TRIES = 40
"""Draws for one child before a planner says that it has nothing new."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one earlier child. `effect` is the measured change of fitness, None where nothing was measured."""

    child: Child
    effect: float | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """All a planner knows: the champion, every id tried in its lineage, and what became of the children so far."""

    champion: Spec
    tried: frozenset[str]
    history: tuple[Result, ...] = ()


Admit: TypeAlias = Callable[[Spec], bool]
"""Whether a child is worth proposing, as the gates say; a refused one is drawn again."""


def everything(spec: Spec) -> bool:
    """Admit every child."""
    return True


class Planner(Protocol):
    """A plain module that proposes children."""

    NAME: str
    ABOUT: str

    def ask(self, state: Observation, n: int, rng: Random, admit: Admit = everything) -> tuple[Child, ...]:
        """Up to `n` admitted children, none of them tried before, the champion, or one another.

        Fewer than `n` mean that the planner found nothing else that is new. Equal arguments give equal children.
        """


def collect(state: Observation, n: int, admit: Admit, draw: Callable[[], Child | None]) -> tuple[Child, ...]:
    """Draw until `n` new and admitted children are there, or one of them took more than `TRIES` draws."""
    known = {*state.tried, state.champion.id}
    children: list[Child] = []
    while len(children) < n:
        child = _new(known, admit, draw)
        if child is None:
            break
        known.add(child.spec.id)
        children.append(child)
    return tuple(children)


def _new(known: set[str], admit: Admit, draw: Callable[[], Child | None]) -> Child | None:
    for _ in range(TRIES):
        child = draw()
        if child and child.spec.id not in known and admit(child.spec):
            return child
    return None
