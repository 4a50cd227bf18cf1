"""What differs between two specs of one domain, as a list of changes that lead from the first to the second.

Takes trees, compares them with everything left out that equals its default. Lists are aligned, so that a block in front
does not make every later one differ. Never judges a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from aams.canonical import canonical_json
from aams.errors import failure
from aams.strict import Path
from compiler.fields import Field, Group, Many, Same, Slot, Tree
from compiler.identity import concise, default_of
from compiler.ops import OPS
from compiler.skeletons import grammar
from evolution.spots import at, put


@dataclass(frozen=True, slots=True)
class Change:
    """One step from one spec to another. A path holds when all changes before it are made.

    Attributes:
        action: set a value, insert an item of a list before `path`, or delete the item at `path`.
        before, after: values; None where there is none, or where an optional field is absent.
    """

    action: Literal["set", "insert", "delete"]
    path: Path
    before: Any
    after: Any


def diff(first: Tree, second: Tree) -> tuple[Change, ...]:
    """Changes that lead from one valid spec to another, top level first; empty for equal ones.

    Raises:
        AamsError: the specs are of two domains.
    """
    if first["domain"] != second["domain"]:
        raise failure("only specs of one domain can be compared", f"{first['domain']} and {second['domain']}")
    return tuple(_between(grammar(first["domain"]), concise(first), concise(second), ()))


def _between(fields: tuple[Field, ...], old: Tree, new: Tree, path: Path) -> Iterator[Change]:
    for field in fields:
        here = (*path, field.name)
        before, after = _value(field, old), _value(field, new)
        match field:
            case Group():
                yield from _between(field.fields, before, after, here)
            case Many():
                yield from _aligned(field, before, after, here)
            case Slot() if before["op"] == after["op"]:
                yield from _between(OPS[field.kind][before["op"]].fields, before, after, here)
            case _ if before != after:
                yield Change("set", here, before, after)


def _value(field: Field, node: Tree) -> Any:
    """What is written, or the default; what follows another field as long as it is absent is None."""
    if field.name in node:
        return node[field.name]
    if not isinstance(field, Group | Many) and isinstance(field.default, Same):
        return None
    return default_of(field, node)


def _aligned(field: Many, old: list[Any], new: list[Any], path: Path) -> Iterator[Change]:
    for tag, start, end, new_start, new_end in alignment(old, new):
        if tag == "equal":
            continue
        shared = min(end - start, new_end - new_start)
        for offset in range(shared):
            place = new_start + offset
            yield from _between(field.item.fields, old[start + offset], new[place], (*path, place))
        for item in old[start + shared : end]:
            yield Change("delete", (*path, new_end), item, None)
        for place in range(new_start + shared, new_end):
            yield Change("insert", (*path, place), None, new[place])


def alignment(old: list[Any], new: list[Any]) -> Sequence[tuple[str, int, int, int, int]]:
    """How two lists line up, as `difflib` opcodes over the items' canonical JSON."""
    return SequenceMatcher(None, _keys(old), _keys(new), autojunk=False).get_opcodes()


def _keys(items: list[Any]) -> list[bytes]:
    return [canonical_json(item) for item in items]


def apply(tree: Tree, changes: tuple[Change, ...]) -> dict[str, Any]:
    """Make the changes, in order, on a spec in its concise form."""
    result = concise(tree)
    for change in changes:
        if change.action == "set":
            result = put(result, change.path, change.after)
            continue
        *spot, place = change.path
        items = list(at(result, tuple(spot)))
        if change.action == "insert":
            items.insert(int(place), change.after)
        else:
            del items[int(place)]
        result = put(result, tuple(spot), items)
    return result
