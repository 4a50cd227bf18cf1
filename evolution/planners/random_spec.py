"""The null planner: fresh specs from the whole search space, of sizes within reach of the champion's.

What the domain fixes is the champion's too.
"""

from __future__ import annotations

from random import Random

from aams.records import Child, Mutation, Spec
from compiler.identity import full
from compiler.skeletons import grammar
from evolution import draws
from evolution.edits import proven, summary
from evolution.planners.base import Admit, Observation, collect, everything
from evolution.spots import hold

NAME = "random-spec"
ABOUT = "A fresh draw of the search space."

TRIES = 200
"""Draws before the grammar counts as too narrow for what the domain fixes: rules between values refuse many."""

EFFECT = -0.05
"""A random spec is expected to be worse than a champion."""


def ask(state: Observation, n: int, rng: Random, admit: Admit = everything) -> tuple[Child, ...]:
    """Random specs; see `Planner.ask`."""
    return collect(state, n, admit, lambda: _draw(state.champion, rng))


def _draw(champion: Spec, rng: Random) -> Child | None:
    for _ in range(TRIES):
        spec = proven(champion, hold(champion.tree, draws.values(grammar(champion.domain), rng, full(champion.tree))))
        if spec:
            why = f"a fresh draw: {summary(spec.tree['model'])}"
            mutation = Mutation(NAME, "", champion.id, spec.id, why, EFFECT)
            return Child(spec, champion.id, NAME, (mutation,), why, EFFECT)
    return None
