"""Rewrites that change how a spec is written and not what it does: its id stays.

Takes a spec and a `random.Random`, gives the same spec in other words, as a placebo needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random
from types import MappingProxyType

from aams.records import Mutation, Spec
from aams.strict import path_text
from compiler.fields import Many, Tree
from evolution.edits import Edit, Edits, proven, shuffled, summary
from evolution.spots import at, put, spots


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
