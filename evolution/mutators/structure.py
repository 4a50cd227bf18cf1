"""Mutations of ordered lists: blocks and stages are inserted, deleted, duplicated, moved, split and merged.

Each function gives edits in random order. A list's items are whatever the grammar says they are; only split and merge
need them to have a `repeat`.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from aams.strict import Path
from compiler.fields import Many, Tree
from evolution import draws
from evolution.edits import Edit, set_value, shuffled, summary
from evolution.mutators.values import any_variant
from evolution.spots import Spot, at, can_repeat, put, spots

INSERT_DRAWS = 4
"""Items drawn for each place before the next place is tried."""


def insert(tree: Tree, rng: Random) -> Iterator[Edit]:
    """A fresh item between two, or at an end."""
    for spot, field, items in _lists(tree, rng):
        for index in shuffled(list(range(len(items) + 1)), rng):
            for _ in range(INSERT_DRAWS):
                item = draws.values(field.item.fields, rng, spot.value[min(index, len(items) - 1)])
                why = f"a new {field.item.name} at place {index + 1}: {summary(item)}"
                yield _edit(tree, spot, [*items[:index], item, *items[index:]], index, None, item, why)


def delete(tree: Tree, rng: Random) -> Iterator[Edit]:
    """One item less."""
    for spot, field, items in _lists(tree, rng):
        for index in shuffled(list(range(len(items))), rng):
            why = f"without {field.item.name} {index + 1}: {summary(items[index])}"
            yield _edit(tree, spot, [*items[:index], *items[index + 1 :]], index, items[index], None, why)


def duplicate(tree: Tree, rng: Random) -> Iterator[Edit]:
    """An item twice in a row, each with its own weights."""
    for spot, field, items in _lists(tree, rng):
        for index in shuffled(list(range(len(items))), rng):
            item = items[index]
            why = f"{field.item.name} {index + 1} twice in a row: {summary(item)}"
            yield _edit(tree, spot, [*items[: index + 1], item, *items[index + 1 :]], index + 1, None, item, why)


def move(tree: Tree, rng: Random) -> Iterator[Edit]:
    """An item at another place; before and after are places from 0."""
    for spot, field, items in _lists(tree, rng):
        count = len(items)
        for old, new in shuffled([(old, new) for old in range(count) for new in range(count) if old != new], rng):
            others = [*items[:old], *items[old + 1 :]]
            why = f"{field.item.name} {old + 1} moves to place {new + 1}: {summary(items[old])}"
            yield _edit(tree, spot, [*others[:new], items[old], *others[new:]], old, old, new, why)


def split(tree: Tree, rng: Random) -> Iterator[Edit]:
    """A repeated item in two, one of which differs in one value."""
    for spot, _, items in _repeated(tree, rng):
        for index, item in shuffled(list(enumerate(items)), rng):
            for first in shuffled(list(range(1, item.get("repeat", 1))), rng):
                parts = [{**item, "repeat": first}, {**item, "repeat": item["repeat"] - first}]
                halves = put(tree, spot.path, [*items[:index], *parts, *items[index + 1 :]])
                changed = index + rng.randrange(2)
                inside = [inner for inner in spots(halves) if _is_part(inner, (*spot.path, changed))]
                for inner in shuffled(inside, rng):
                    for value in any_variant(inner, rng):
                        edit = set_value(halves, inner, value)
                        after = at(edit.tree, spot.path)[index : index + 2]
                        why = f"{summary(item)} split into {first} and {item['repeat'] - first}: {edit.why}"
                        yield Edit(edit.tree, (*spot.path, index), item, after, why)


def merge(tree: Tree, rng: Random) -> Iterator[Edit]:
    """Two neighbours become one kind of item, repeated as often as both."""
    for spot, field, items in _repeated(tree, rng):
        for index in shuffled(list(range(len(items) - 1)), rng):
            pair = items[index : index + 2]
            repeat = sum(item.get("repeat", 1) for item in pair)
            for kept in shuffled(pair, rng):
                item = {**kept, "repeat": repeat}
                why = f"{field.item.name}s {index + 1} and {index + 2} made alike: {summary(item)}"
                yield _edit(tree, spot, [*items[:index], item, *items[index + 2 :]], index, pair, item, why)


def _lists(tree: Tree, rng: Random) -> Iterator[tuple[Spot, Many, list[Any]]]:
    """Every list with its declaration and its items as written, in random order."""
    for spot in shuffled([spot for spot in spots(tree) if isinstance(spot.field, Many)], rng):
        if isinstance(spot.field, Many):
            yield spot, spot.field, at(tree, spot.path)


def _repeated(tree: Tree, rng: Random) -> Iterator[tuple[Spot, Many, list[Any]]]:
    for spot, field, items in _lists(tree, rng):
        if can_repeat(field):
            yield spot, field, items


def _is_part(spot: Spot, item: Path) -> bool:
    return spot.path[: len(item)] == item and spot.field.name != "repeat"


def _edit(tree: Tree, spot: Spot, items: list[Any], index: int, before: Any, after: Any, why: str) -> Edit:
    return Edit(put(tree, spot.path, items), (*spot.path, index), before, after, why)
