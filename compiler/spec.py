"""The strict reader of specs: from bytes to a `Spec`, or to problems that name line, column, path and what would do.

Takes bytes, paths or trees from anybody. Gives specs that every later step can trust: inside the search space, with all
rules between values kept. Never executes, never fills in defaults, never touches the tree it was given.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from pathlib import Path as FilePath
from typing import Any

from aams.errors import Problem, SpecError
from aams.files import read_bounded
from aams.records import Interface, Spec
from aams.strict import MAX_YAML_BYTES, Document, Path, read_yaml
from compiler.fields import Choice, Field, Flag, Float, Group, Int, Many, Slot, Tree, _Required
from compiler.identity import full, spec_id
from compiler.ops import OPS
from compiler.skeletons import SKELETONS, grammar
from domains import active_interface


def read(path: FilePath) -> Spec:
    """Read a spec file.

    Raises:
        AamsError: the file can't be read, is not strict YAML, or is no spec of the search space.
    """
    return parse(read_bounded(path, MAX_YAML_BYTES), str(path))


def parse(content: bytes, source: str) -> Spec:
    """Read a spec from the bytes of a YAML file; `source` is the name to show in errors."""
    return _accept(read_yaml(content, source))


def from_tree(tree: Tree, source: str = "spec") -> Spec:
    """Check a tree that was built in memory or read from JSON."""
    return _accept(Document(tree, {}, source))


def _accept(document: Document) -> Spec:
    problems = list(_problems(document))
    if problems:
        raise SpecError(*problems)
    return Spec(document.data["domain"], document.data, spec_id(document.data))


def _problems(document: Document) -> Iterator[Problem]:
    tree = document.data
    if not isinstance(tree, dict):
        yield document.problem((), "a spec is a mapping", _shown(tree), "start from a baseline.yaml")
        return
    domain = tree.get("domain")
    if not isinstance(domain, str) or domain not in SKELETONS:
        what = "must be one of " + ", ".join(SKELETONS)
        yield document.problem(("domain",), what, _shown(domain), _nearest(domain, SKELETONS))
        return
    found = list(_check_fields(document, grammar(domain), tree, ()))
    yield from found
    if not found:
        yield from rules(document, active_interface(domain))


def rules(document: Document, interface: Interface) -> Iterator[Problem]:
    """What a schema can't say: divisibility, sizes that must fit, depth."""
    tree = full(document.data)
    skeleton = SKELETONS[tree["domain"]]
    fine = True
    for misplaced in skeleton.check(tree, interface):
        fine = False
        yield document.problem(misplaced.path, misplaced.what, misplaced.got, misplaced.advice)
    if not fine:
        return
    told: set[Path] = set()
    for site in skeleton.sites(tree["model"], interface):
        for misfit in OPS[site.kind][site.op["op"]].check(site.op, site.place):
            path = (*site.path, misfit.field)
            if path not in told:
                told.add(path)
                yield document.problem(path, misfit.what, _shown(site.op[misfit.field]), misfit.advice)


def _check_fields(
    document: Document, fields: tuple[Field, ...], tree: Any, path: Path, op: str = ""
) -> Iterator[Problem]:
    if not isinstance(tree, dict):
        yield document.problem(
            path, "must be a mapping", _shown(tree), "write its keys: " + ", ".join(f.name for f in fields)
        )
        return
    names = [field.name for field in fields]
    for key in tree:
        if key not in names and not (op and key == "op"):
            owner = f" for {op}" if op else ""
            known = "known here: " + ", ".join(names) if names else "it takes no parameters"
            yield document.problem((*path, key), f"unknown key{owner}", advice=_nearest(key, names) or known)
    for field in fields:
        if field.name in tree:
            yield from _check_field(document, field, tree[field.name], (*path, field.name))
        elif isinstance(field, Group | Many) or isinstance(field.default, _Required):
            yield document.problem((*path, field.name), "is missing", advice=f"add it: {legal(field)}")


def _check_field(document: Document, field: Field, value: Any, path: Path) -> Iterator[Problem]:
    match field:
        case Group():
            yield from _check_fields(document, field.fields, value, path)
        case Many():
            yield from _check_list(document, field, value, path)
        case Slot():
            yield from _check_slot(document, field, value, path)
        case _:
            if not _fits(field, value):
                options = field.options if isinstance(field, Choice) else ()
                yield document.problem(path, f"must be {legal(field)}", _shown(value), _nearest(value, options))


def _check_list(document: Document, field: Many, value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, list) or not field.low <= len(value) <= field.high:
        got = f"{len(value)} items" if isinstance(value, list) else _shown(value)
        yield document.problem(path, f"must be {legal(field)}", got)
        return
    for index, item in enumerate(value):
        yield from _check_fields(document, field.item.fields, item, (*path, index))


def _check_slot(document: Document, field: Slot, value: Any, path: Path) -> Iterator[Problem]:
    if not isinstance(value, dict) or "op" not in value:
        yield document.problem(path, f"must be {legal(field)}", _shown(value), "write it as {op: name}")
        return
    ops = OPS[field.kind]
    name = value["op"]
    if not isinstance(name, str) or name not in ops:
        yield document.problem(
            (*path, "op"), f"unknown {field.kind}", _shown(name), _nearest(name, ops) or "one of " + ", ".join(ops)
        )
        return
    yield from _check_fields(document, ops[name].fields, value, path, op=name)


def _fits(field: Field, value: Any) -> bool:
    if value is None:  # the full form says so of what is off; YAML has no way to write it
        return isinstance(field, Int | Float) and field.default is None
    match field:
        case Int():
            return type(value) is int and field.low <= value <= field.high and value % field.multiple == 0
        case Float():
            return type(value) in (int, float) and math.isfinite(value) and field.low <= value <= field.high
        case Choice():
            return isinstance(value, str) and value in field.options
        case Flag():
            return type(value) is bool
    return False


def legal(field: Field) -> str:
    """What a field takes, in words."""
    match field:
        case Int():
            multiple = f", a multiple of {field.multiple}" if field.multiple > 1 else ""
            return (
                f"a whole number from {field.low} to {field.high}{multiple}"
                if field.low != field.high
                else str(field.low)
            )
        case Float():
            return f"a number from {field.low:g} to {field.high:g}"
        case Choice():
            return "one of " + ", ".join(field.options) if len(field.options) > 1 else field.options[0]
        case Flag():
            return "true or false"
        case Slot():
            return "{op: " + " | ".join(OPS[field.kind]) + "}"
        case Many():
            return f"a list of {field.low} to {field.high} items"
    return "a mapping with " + ", ".join(inner.name for inner in field.fields)


def _nearest(value: Any, options: Iterable[str]) -> str:
    close = difflib.get_close_matches(value, list(options), n=1, cutoff=0.5) if isinstance(value, str) else []
    return f"did you mean {close[0]}?" if close else ""


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
