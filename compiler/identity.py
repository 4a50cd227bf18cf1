"""Full and canonical forms of a spec, and its id.

Takes trees that the reader has accepted. Full form: every default written, numbers in their declared type. Canonical
form: what has no effect dropped, defaults omitted, repeats expanded; its SHA-256 is the spec's id, so that equal
functions share an id and a new parameter with a default changes no old one. Never looks at data or at the interface.
"""

from __future__ import annotations

from typing import Any

from aams.canonical import digest
from aams.records import Interface
from aams.strict import Path
from compiler.fields import Field, Float, Group, Many, Same, Slot, Tree, _Required
from compiler.ops import OPS
from compiler.skeletons import SKELETONS, grammar

UNKNOWN = Interface("", 0, 0, 0, 0, 0, 0)
"""The interface where none matters: ids hold for every corpus."""


def full(tree: Tree) -> dict[str, Any]:
    """Write out every default of a valid spec."""
    return _fill(grammar(tree["domain"]), tree)


def _fill(fields: tuple[Field, ...], tree: Tree) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for field in fields:
        filled[field.name] = _fill_one(field, tree.get(field.name, default_of(field, filled)))
    return filled


def default_of(field: Field, earlier: Tree) -> Any:
    """The default of a field beside its already filled neighbours; None for a field that must be written."""
    if isinstance(field, Group | Many) or isinstance(field.default, _Required):
        return None
    if isinstance(field.default, Same):
        return earlier[field.default.field]
    return field.default


def _fill_one(field: Field, value: Any) -> Any:
    match field:
        case Slot():
            return {"op": value["op"], **_fill(OPS[field.kind][value["op"]].fields, value)}
        case Group():
            return _fill(field.fields, value)
        case Many():
            return [_fill(field.item.fields, item) for item in value]
        case Float() if value is not None:
            return float(value)
    return value


def canonical(tree: Tree) -> dict[str, Any]:
    """The form that is hashed."""
    return _omit(grammar(tree["domain"]), simplest(tree), expand=True)


def simplest(tree: Tree) -> dict[str, Any]:
    """Full form with everything dropped or rewritten that has no effect, and runs of equal blocks as one repeat."""
    skeleton = SKELETONS[tree["domain"]]
    spec = full(tree)
    spec["model"] = _join_repeats(skeleton.settle(spec["model"]))
    for site in list(skeleton.sites(spec["model"], UNKNOWN)):
        op = OPS[site.kind][site.op["op"]]
        spec = replaced(spec, site.path, op.simplify(site.op, site.place))
    spec["model"] = _join_repeats(spec["model"])
    return spec


def spec_id(tree: Tree) -> str:
    """The SHA-256 of the canonical form."""
    return digest(canonical(tree))


def replaced(tree: Any, path: Path, value: Any) -> Any:
    """A copy of a tree with another value at `path`; shares what did not change."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(tree, list):
        return [replaced(item, rest, value) if index == step else item for index, item in enumerate(tree)]
    return {**tree, step: replaced(tree.get(step), rest, value)}


def _join_repeats(node: Any) -> Any:
    """Merge neighbours that differ only in `repeat`, everywhere."""
    if isinstance(node, dict):
        return {key: _join_repeats(value) for key, value in node.items()}
    if not isinstance(node, list):
        return node
    joined: list[Any] = []
    for item in map(_join_repeats, node):
        if joined and "repeat" in item and {**joined[-1], "repeat": 0} == {**item, "repeat": 0}:
            joined[-1] = {**joined[-1], "repeat": joined[-1]["repeat"] + item["repeat"]}
        else:
            joined.append(item)
    return joined


def concise(tree: Tree) -> dict[str, Any]:
    """Written form without anything that equals its default; repeats stay as they are."""
    return _omit(grammar(tree["domain"]), full(tree), expand=False)


def _omit(fields: tuple[Field, ...], tree: Tree, expand: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for field in fields:
        value = tree[field.name]
        match field:
            case Group():
                kept[field.name] = _omit(field.fields, value, expand)
            case Many():
                kept[field.name] = [copy for item in value for copy in _copies(field, item, expand)]
            case Slot():
                written = _omit_op(field, value, expand)
                if isinstance(field.default, _Required) or written != _omit_op(
                    field, _fill_one(field, field.default), expand
                ):
                    kept[field.name] = written
            case _:
                if isinstance(field.default, _Required) or value != default_of(field, tree):
                    kept[field.name] = value
    return kept


def _omit_op(field: Slot, value: Tree, expand: bool) -> dict[str, Any]:
    return {"op": value["op"], **_omit(OPS[field.kind][value["op"]].fields, value, expand)}


def _copies(field: Many, item: Tree, expand: bool) -> list[dict[str, Any]]:
    if not expand or "repeat" not in item:
        return [_omit(field.item.fields, item, expand)]
    return [_omit(field.item.fields, {**item, "repeat": 1}, expand)] * item["repeat"]
