"""Writing specs as YAML: a fresh file, or an edit of a person's file that keeps comments and touches only what changed.

Takes trees and text, gives text. What it gives reads back as exactly the tree that was asked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from aams.canonical import canonical_json
from aams.errors import AamsError, failure
from aams.strict import Document, Path, read_yaml
from compiler.fields import Tree

WIDTH = 160
"""Columns before the writer breaks a flow mapping."""

_PLAIN = re.compile(r"[A-Za-z0-9_.+-]+")


def fresh(tree: Tree, schema: str = "") -> str:
    """Write a spec from nothing: blocks and ops in flow style, the editors' schema line first."""
    from ruamel.yaml.comments import CommentedMap

    document = CommentedMap()
    _set_all(document, tree)
    for key in ("model", "training"):
        _flow_below(document[key])
    text = _dump(document, _writer("", fresh=True))
    return (f"# yaml-language-server: $schema={schema}\n" if schema else "") + text


def edit(text: str, tree: Tree) -> str:
    """Change a YAML text so that it says `tree`; comments, order and every untouched line stay.

    Raises:
        AamsError: the text has a layout that can't be edited without changing its meaning.
    """
    document = read_yaml(text.encode(), "text")
    result = _replace_scalars(text, document, tree)
    if result is not None and _says(result, tree):
        return result
    writer = _writer(text)
    node = writer.load(text)
    before = _dump(node, writer)
    _merge(node, tree)
    after = _dump(node, writer)
    for result in (_splice(text, before, after), after):
        if _says(result, tree):
            return result
    raise failure("the file's layout can't be edited in place", advice="write it in plain block style")


def _says(text: str, tree: Tree) -> bool:
    try:
        return canonical_json(read_yaml(text.encode(), "edited").data) == canonical_json(tree)
    except AamsError:
        return False


def _replace_scalars(text: str, document: Document, tree: Tree) -> str | None:
    """Put new plain scalars in the place of old ones; None when more than scalars changed."""
    changes = list(_scalar_changes(document.data, tree, ()))
    if None in changes:
        return None
    lines = text.splitlines(keepends=True)
    for path, value in reversed([change for change in changes if change]):
        line, column = document.places[path]
        old = _PLAIN.match(lines[line - 1], column - 1)
        if not old:
            return None
        lines[line - 1] = lines[line - 1][: column - 1] + _scalar(value) + lines[line - 1][old.end() :]
    return "".join(lines)


def _scalar_changes(old: Any, new: Any, path: Path) -> Iterator[tuple[Path, Any] | None]:
    """Paths with their new scalar, in document order; None wherever the shape changed."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key in old:
            yield from _scalar_changes(old[key], new[key], (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _scalar_changes(before, after, (*path, index))
    elif isinstance(old, dict | list) or isinstance(new, dict | list):
        yield None
    elif canonical_json(old) != canonical_json(new):
        yield path, new


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _splice(text: str, before: str, after: str) -> str:
    """Carry the line changes from `before` to `after` over to `text`, which says the same as `before`."""
    if text == before:
        return after
    old, plain, new = (part.splitlines(keepends=True) for part in (text, before, after))
    if len(old) != len(plain):
        return after
    lines: list[str] = []
    for tag, start, end, new_start, new_end in SequenceMatcher(None, plain, new, autojunk=False).get_opcodes():
        lines += old[start:end] if tag == "equal" else new[new_start:new_end]
    return "".join(lines)


def _merge(node: Any, tree: Any) -> None:
    """Make a round-trip node say `tree`, leaving equal parts alone."""
    if isinstance(tree, dict):
        for key in [key for key in node if key not in tree]:
            del node[key]
        for key, value in tree.items():
            if key in node and _mergeable(node[key], value):
                _merge(node[key], value)
            elif key not in node or not _same(node[key], value):
                node[key] = _built(value)
        return
    matcher = SequenceMatcher(
        None, [canonical_json(_plain(item)) for item in node], list(map(canonical_json, tree)), autojunk=False
    )
    for tag, start, end, new_start, new_end in reversed(matcher.get_opcodes()):
        if tag == "equal":
            continue
        shared = min(end - start, new_end - new_start)
        for offset in range(shared):
            if _mergeable(node[start + offset], tree[new_start + offset]):
                _merge(node[start + offset], tree[new_start + offset])
            else:
                node[start + offset] = _built(tree[new_start + offset])
        for index in reversed(range(start + shared, end)):
            del node[index]
        for offset in range(shared, new_end - new_start):
            node.insert(start + offset, _built(tree[new_start + offset]))


def _mergeable(node: Any, value: Any) -> bool:
    return (isinstance(node, dict) and isinstance(value, dict)) or (isinstance(node, list) and isinstance(value, list))


def _same(node: Any, value: Any) -> bool:
    return canonical_json(_plain(node)) == canonical_json(value) and isinstance(node, bool) == isinstance(value, bool)


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    raise failure("not a plain value", type(node).__name__)


def _built(value: Any) -> Any:
    """A new round-trip node; mappings are written in flow style, as ops are."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if isinstance(value, dict):
        node = CommentedMap()
        _set_all(node, value)
        node.fa.set_flow_style()
        return node
    if isinstance(value, list):
        return CommentedSeq(_built(item) for item in value)
    return value


def _set_all(node: Any, tree: Tree) -> None:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    for key, value in tree.items():
        if isinstance(value, dict):
            node[key] = CommentedMap()
            _set_all(node[key], value)
        elif isinstance(value, list):
            node[key] = CommentedSeq()
            for item in value:
                child = CommentedMap()
                _set_all(child, item)
                node[key].append(child)
        else:
            node[key] = value


def _flow_below(node: Any) -> None:
    """Flow style for ops, and for list items that hold no list of their own."""
    for value in node.values():
        if isinstance(value, dict):
            if "op" in value:
                _flow(value)
            else:
                _flow_below(value)
        elif isinstance(value, list):
            for item in value:
                if any(isinstance(inner, list) for inner in item.values()):
                    _flow_below(item)
                else:
                    _flow(item)


def _flow(node: Any) -> None:
    node.fa.set_flow_style()


def _writer(text: str, fresh: bool = False) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.util import load_yaml_guess_indent

    writer = YAML()
    writer.preserve_quotes = True
    writer.width = WIDTH if fresh else 4096
    mapping, sequence, offset = 2, 4, 2
    if text:
        _, indent, block_offset = load_yaml_guess_indent(text)
        if indent is not None:
            sequence, offset = indent, block_offset or 0
        indented = re.search(r":[^\n]*\n( +)[A-Za-z_]", text)
        mapping = len(indented[1]) if indented else mapping
    writer.indent(mapping=mapping, sequence=sequence, offset=offset)
    return writer


def _dump(document: Any, writer: Any) -> str:
    stream = io.StringIO()
    writer.dump(document, stream)
    return stream.getvalue()
