"""A child of two parents: their lists cut and joined at aligned points, the recipe from one, other fields from either.

Takes two valid specs of one domain and a `random.Random`, gives a valid child that is neither of them, or None. Pure,
like a mutation.
"""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import Any

from aams.errors import failure
from aams.records import Mutation, Spec
from compiler.fields import Field, Group, Many, Tree
from compiler.identity import concise
from compiler.skeletons import grammar
from evolution.diff import alignment
from evolution.edits import proven
from evolution.spots import can_repeat

TRIES = 48
"""Draws before two parents count as incompatible: most fail because a width of one meets the heads of the other."""


def cross(first: Spec, second: Spec, rng: Random) -> tuple[Spec, Mutation] | None:
    """A child of two parents; what the domain fixes is as in the first one.

    Raises:
        AamsError: the specs are of two domains.
    """
    if first.domain != second.domain:
        raise failure("only specs of one domain can be crossed", f"{first.domain} and {second.domain}")
    mother, father = concise(first.tree), concise(second.tree)
    for _ in range(TRIES):
        child = proven(first, _whole(mother, father, rng))
        if child and child.id not in (first.id, second.id):
            why = f"crosses {first.id[:8]} with {second.id[:8]}, cut at aligned blocks"
            return child, Mutation("crossover", "", first.id, second.id, why, 0.0)
    return None


def _whole(mother: Tree, father: Tree, rng: Random) -> dict[str, Any]:
    mixed = _mixed(grammar(mother["domain"]), mother, father, rng)
    return {**mixed, "training": rng.choice((mother, father))["training"]}


def _mixed(fields: tuple[Field, ...], mother: Tree, father: Tree, rng: Random) -> dict[str, Any]:
    child: dict[str, Any] = {}
    for field in fields:
        name = field.name
        match field:
            case Group():
                child[name] = _mixed(field.fields, mother[name], father[name], rng)
            case Many():
                head, tail = rng.sample((mother[name], father[name]), 2)
                child[name] = _joined(field, head, tail, rng)
            case _:
                giver = rng.choice((mother, father))
                if name in giver:
                    child[name] = giver[name]
    return child


def _joined(field: Many, head: list[Any], tail: list[Any], rng: Random) -> list[Any]:
    """The beginning of one list and the end of another, cut where they line up; repeats are cut inside too."""
    if not can_repeat(field):
        return _cut(head, tail, rng)
    return _folded(_cut(_expanded(head), _expanded(tail), rng))


def _cut(head: list[Any], tail: list[Any], rng: Random) -> list[Any]:
    cuts = {(0, 0), (len(head), len(tail))}
    for _, start, end, tail_start, tail_end in alignment(head, tail):
        shared = min(end - start, tail_end - tail_start)
        cuts |= {(start + offset, tail_start + offset) for offset in range(shared + 1)}
    end_of_head, start_of_tail = rng.choice(sorted(cuts))
    return [*head[:end_of_head], *tail[start_of_tail:]]


def _expanded(items: list[Any]) -> list[Any]:
    single = [{key: value for key, value in item.items() if key != "repeat"} for item in items]
    return [item for item, written in zip(single, items, strict=True) for _ in range(written.get("repeat", 1))]


def _folded(items: list[Any]) -> list[Any]:
    runs = [(item, len(list(run))) for item, run in groupby(items)]
    return [{"repeat": length, **item} if length > 1 else item for item, length in runs]
