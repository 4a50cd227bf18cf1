"""Rewrites that change how a spec is written and not what it does.

Takes a spec and a `random.Random`, gives the same spec in other words with the id that it had, or, for a placebo that
nobody is to recognise by its id, one that differs too little to be trained otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from types import MappingProxyType

from aams.records import Mutation, Spec
from aams.strict import path_text
from compiler.fields import Many, Tree
from compiler.identity import full
from evolution.edits import Edit, Edits, proven, shuffled, summary
from evolution.spots import at, put, spots

TRIES = 200
DIGITS = 4
MOST_WARMUP = 0.5


def write_default(tree: Tree, rng: Random) -> Iterator[Edit]:
    """Say something that holds anyway."""
    for spot in shuffled([spot for spot in spots(tree) if spot.value is not None and at(tree, spot.path) is None], rng):
        why = f"writes out the default of {spot.field.name} in {spot.owner}"
        yield Edit(put(tree, spot.path, spot.value), spot.path, spot.value, spot.value, why)


def split_repeat(tree: Tree, rng: Random) -> Iterator[Edit]:
    """Write repeated blocks as two equal neighbours."""
    for spot in shuffled([spot for spot in spots(tree) if isinstance(spot.field, Many)], rng):
        items = at(tree, spot.path)
        for index, item in shuffled(list(enumerate(items)), rng):
            for first in shuffled(list(range(1, item.get("repeat", 1))), rng):
                parts = [{**item, "repeat": first}, {**item, "repeat": item["repeat"] - first}]
                after = put(tree, spot.path, [*items[:index], *parts, *items[index + 1 :]])
                yield Edit(after, (*spot.path, index), item, parts, f"{summary(item)} written in two parts")


EQUIVALENCES: Mapping[str, Edits] = MappingProxyType({"write-default": write_default, "split-repeat": split_repeat})


def rewrite(spec: Spec, operator: str, rng: Random) -> tuple[Spec, Mutation] | None:
    """The same function written differently, or None where the operator finds nothing to rewrite."""
    for edit in EQUIVALENCES[operator](spec.tree, rng):
        twin = proven(spec, edit.tree)
        if twin and twin.id == spec.id:
            return twin, Mutation(operator, path_text(edit.path), edit.before, edit.after, edit.why, 0.0)
    return None


def disguise(spec: Spec, steps: int, rng: Random) -> tuple[Spec, Mutation] | None:
    """A spec with another id that trains exactly alike: the share of its warm-up changes by less than one of its steps.

    Args:
        steps: of a training; the schedule counts its warm-up in whole ones.

    Returns:
        None where no other short decimal means as many steps: above 5,000 of them, or at the largest warm-up.
    """
    training = full(spec.tree)["training"]
    before = training["schedule"]["warmup"]
    for _ in range(TRIES):
        after = round(before + rng.uniform(-1, 1) / steps, DIGITS)
        if after == before or not 0 <= after <= MOST_WARMUP or round(after * steps) != round(before * steps):
            continue
        path = ("training", "schedule")
        twin = proven(spec, put(spec.tree, path, {**training["schedule"], "warmup": after}))
        if twin and twin.id != spec.id:
            why = f"warmup {before:g} becomes {after:g}"
            return twin, Mutation("change-number", "training.schedule.warmup", before, after, why, 0.0)
    return None
