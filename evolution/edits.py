"""Edits: changes of a spec that have yet to prove legal, the proof, and how they are put in words.

Takes written trees and gives written trees in which only the changed place differs. What equals its default is left
unwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from aams.errors import SpecError
from aams.records import Spec
from aams.strict import Path
from compiler.fields import Slot, Tree
from compiler.identity import default_of, replaced, simplest
from compiler.ops import OPS
from compiler.skeletons import SKELETONS
from compiler.spec import from_tree
from domains import active_interface
from evolution.spots import Spot, at, fixed_values, put


@dataclass(frozen=True, slots=True)
class Edit:
    """A tree in which `before` at `path` became `after`, and the change in plain words."""

    tree: Tree
    path: Path
    before: Any
    after: Any
    why: str


Edits: TypeAlias = Callable[[Tree, Random], Iterator[Edit]]
"""Gives every edit of one sort that a tree has room for, in random order and as late as possible."""


def proven(parent: Spec, tree: Tree) -> Spec | None:
    """The edited tree as a spec, or None where it leaves the search space or touches what the domain fixes."""
    try:
        child = from_tree(tree)
    except SpecError:
        return None
    return child if fixed_values(tree) == fixed_values(parent.tree) else None


def differ(first: Spec, second: Spec) -> bool:
    """Whether two specs of one domain do different things on the active corpus.

    Ids hold for every corpus, so that two of them may still mean one function on this one: a window that is longer than
    any of its sequences.
    """
    return first.id != second.id and _acting(first.tree) != _acting(second.tree)


def _acting(tree: Tree) -> Tree:
    domain = tree["domain"]
    spec = simplest(tree)
    for site in list(SKELETONS[domain].sites(spec["model"], active_interface(domain))):
        spec = replaced(spec, site.path, OPS[site.kind][site.op["op"]].simplify(site.op, site.place))
    return spec


def set_value(tree: Tree, spot: Spot, value: Any) -> Edit:
    """The edit that gives one field another value; None switches an optional number off."""
    before = spot.value
    if isinstance(spot.field, Slot):
        before = at(tree, spot.path) or spot.field.default
    said = None if value == default_of(spot.field, spot.neighbours) else value
    return Edit(put(tree, spot.path, said), spot.path, before, value, _reason(spot, before, value))


def shuffled(values: list[Any], rng: Random) -> list[Any]:
    """The same values in random order."""
    return rng.sample(values, len(values))


def summary(item: Tree) -> str:
    """A list's item in a few words: `4 x attention, mlp, rmsnorm`."""
    names = ", ".join(_ops(item))
    return f"{item['repeat']} x {names}" if item.get("repeat", 1) != 1 else names


def _ops(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _ops(item)
    elif isinstance(node, dict):
        if "op" in node:
            yield node["op"]
        else:
            for value in node.values():
                yield from _ops(value)


def _reason(spot: Spot, before: Any, after: Any) -> str:
    about = spot.field.about
    if isinstance(spot.field, Slot):
        before, after = before["op"], after["op"]
        about = OPS[spot.field.kind][after].about
    change = f"{_said(before)} → {_said(after)} {spot.field.name} in {spot.owner}"
    return f"{change}: {_inline(about)}" if about else change


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "off" if value is None else str(value)


def _inline(sentence: str) -> str:
    """A declaration's sentence as the end of another one."""
    sentence = sentence.rstrip(".")
    return sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
