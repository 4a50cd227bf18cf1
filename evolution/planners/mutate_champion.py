"""Children one mutation away from the champion, sometimes two; every operator with a legal site is equally likely."""

from __future__ import annotations

from random import Random

from aams.records import Child, Mutation, Spec
from evolution.edits import shuffled
from evolution.mutators import MUTATORS, mutate
from evolution.planners.base import Admit, Observation, collect, everything

NAME = "mutate-champion"
ABOUT = "One mutation of the champion, sometimes two."

TWICE = 0.25
"""How often a child is two mutations away."""


def ask(state: Observation, n: int, rng: Random, admit: Admit = everything) -> tuple[Child, ...]:
    """Mutated champions; see `Planner.ask`."""
    return collect(state, n, admit, lambda: _draw(state.champion, rng))


def _draw(champion: Spec, rng: Random) -> Child | None:
    spec = champion
    mutations: list[Mutation] = []
    for _ in range(2 if rng.random() < TWICE else 1):
        step = _mutated(spec, rng)
        if step:
            spec, mutation = step
            mutations.append(mutation)
    if not mutations:
        return None
    rationale = "; ".join(mutation.rationale for mutation in mutations)
    effect = round(sum(mutation.predicted_effect for mutation in mutations), 4)
    return Child(spec, champion.id, NAME, tuple(mutations), rationale, effect)


def _mutated(spec: Spec, rng: Random) -> tuple[Spec, Mutation] | None:
    for operator in shuffled(list(MUTATORS), rng):
        step = mutate(spec, operator, rng)
        if step:
            return step
    return None
