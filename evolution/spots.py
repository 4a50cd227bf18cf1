"""Where a spec can change: every field of a tree beside its declaration, and copies with another value at one of them.

Takes trees that the reader has accepted. Walks the grammar, so that a new op or field is found without a change here.
Leaves out what the domain fixes. Never modifies a tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aams.strict import Path, path_text
from compiler.fields import Field, Group, Many, Slot, Tree
from compiler.identity import default_of, full
from compiler.ops import OPS
from compiler.skeletons import grammar
from domains import DOMAINS


@dataclass(frozen=True, slots=True)
class Spot:
    """One field where it stands.

    Attributes:
        value: what holds there, in full form.
        neighbours: the full mapping it stands in.
        owner: the op or the mapping it belongs to, as people call it.
    """

    path: Path
    field: Field
    value: Any
    neighbours: Tree
    owner: str


def spots(tree: Tree) -> Iterator[Spot]:
    """Every field of a valid spec that its domain does not fix, top level first."""
    for spot in _walk(grammar(tree["domain"]), full(tree), (), "spec"):
        if not is_fixed(tree["domain"], spot.path):
            yield spot


def _walk(fields: tuple[Field, ...], node: Tree, path: Path, owner: str) -> Iterator[Spot]:
    for field in fields:
        value, here = node[field.name], (*path, field.name)
        yield Spot(here, field, value, node, owner)
        match field:
            case Group():
                yield from _walk(field.fields, value, here, field.name)
            case Many():
                for index, item in enumerate(value):
                    yield from _walk(field.item.fields, item, (*here, index), field.item.name)
            case Slot():
                yield from _walk(OPS[field.kind][value["op"]].fields, value, here, value["op"])


def is_fixed(domain: str, path: Path) -> bool:
    """Whether the domain keeps mutators away from this path."""
    text = path_text(path)
    return any(text == fixed or text.startswith((f"{fixed}.", f"{fixed}[")) for fixed in DOMAINS[domain].FIXED)


def fixed_values(tree: Tree) -> dict[Path, Any]:
    """What a spec says, in full form, wherever its domain fixes it."""
    walked = _walk(grammar(tree["domain"]), full(tree), (), "spec")
    return {spot.path: spot.value for spot in walked if is_fixed(tree["domain"], spot.path)}


def hold(source: Tree, tree: Tree) -> Tree:
    """A copy of `tree` that says what `source` says wherever the domain fixes it."""
    for path in fixed_values(tree):
        tree = put(tree, path, at(source, path))
    return tree


def at(tree: Any, path: Path) -> Any:
    """What a tree says at `path`, or None where it says nothing."""
    for step in path:
        if isinstance(step, str) and step not in tree:
            return None
        tree = tree[step]
    return tree


def put(tree: Tree, path: Path, value: Any) -> dict[str, Any]:
    """A copy of a written tree with another value at `path`; None takes the key away.

    Shares what did not change. An op on the way that was left to its default gets written.
    """
    return _put(grammar(tree["domain"]), tree, path, value)


def _put(fields: tuple[Field, ...], node: Tree, path: Path, value: Any) -> dict[str, Any]:
    name, rest = path[0], path[1:]
    field = next(field for field in fields if field.name == name)
    if not rest:
        kept = {key: old for key, old in node.items() if key != name}
        return kept if value is None else {**node, field.name: value}
    inner: Any = node.get(field.name)
    match field:
        case Group():
            inner = _put(field.fields, inner, rest, value)
        case Many():
            index = rest[0]
            item = _put(field.item.fields, inner[index], rest[1:], value) if rest[1:] else value
            inner = [item if place == index else old for place, old in enumerate(inner)]
        case Slot():
            inner = inner or default_of(field, node)
            inner = _put(OPS[field.kind][inner["op"]].fields, inner, rest, value)
    return {**node, field.name: inner}


def can_repeat(field: Many) -> bool:
    """Whether the list's items say how often they stand in a row."""
    return any(inner.name == "repeat" for inner in field.item.fields)
