"""Pictures that GitHub draws from text (Mermaid): what an architecture change is, and where a generation stands.

Takes spec trees and a state, gives Mermaid. Labels are names of ops and fields, numbers and generations: nothing that
somebody wrote freely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from compiler.identity import full
from safety.lineage import Lineage

NEIGHBOURS = 6
STYLES = (
    "classDef added fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    "classDef removed fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray:4 3",
    "classDef champion fill:#ddf4ff,stroke:#0969da,color:#1f2328",
    "classDef failed fill:#f6f8fa,stroke:#8c959f,color:#57606a",
)


def change_drawing(parent: Mapping[str, Any], child: Mapping[str, Any]) -> str:
    """The child's architecture from input to output, with what is new and what is gone.

    Args:
        parent, child: spec trees, as written.
    """
    before, after = (list(_parts(full(tree)["model"])) for tree in (parent, child))
    shown: list[tuple[str, str]] = []
    for kind, start, end, low, high in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            shown += [(label, "removed") for label in before[start:end]]
        shown += [(label, "" if kind == "equal" else "added") for label in after[low:high]]
    lines = ["flowchart TD", *(f'  n{number}["{label}"]' for number, (label, _) in enumerate(shown))]
    standing = [number for number, (_, style) in enumerate(shown) if style != "removed"]
    lines += [f"  n{one} --> n{other}" for one, other in pairwise(standing)]
    lines += [f"  class n{number} {style}" for number, (_, style) in enumerate(shown) if style]
    return _mermaid([*lines, *(f"  {style}" for style in STYLES[:2])])


def lineage_drawing(lineage: Lineage, generation: str) -> str:
    """A generation among its ancestors and their other children, as far as they are near."""
    known = {one.name: one for one in lineage.generations}
    line, name = [generation], generation
    while known[name].parent and len(line) < NEIGHBOURS:
        name = known[name].parent
        line.append(name)
    near = [one for one in lineage.generations if one.name in line or one.parent in line[:3]][-3 * NEIGHBOURS :]
    shown = {one.name for one in near}
    champion = lineage.champion.generation if lineage.champion else ""
    lines = ["flowchart LR"]
    for one in near:
        mark = " (this)" if one.name == generation else ""
        style = ":::champion" if one.name == champion else "" if one.status in ("accepted", "open") else ":::failed"
        state = "waits" if one.status == "open" else one.status
        lines.append(f'  {one.name}["{one.name}: {state}{mark}"]{style}')
        if one.parent in shown:
            lines.append(f"  {one.parent} --> {one.name}")
    return _mermaid([*lines, *(f"  {style}" for style in STYLES[2:])])


def _parts(model: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """A model's parts in order, each in one line."""
    plain = {name: value for name, value in model.items() if not isinstance(value, dict | list)}
    if plain:
        yield f"{place} {_values(plain)}".strip()
    for name, value in model.items():
        where = f"{place} {name}".strip()
        if isinstance(value, list):
            for item in value:
                yield from _block(item, where)
        elif isinstance(value, dict):
            yield from (_op(name, value),) if "op" in value else _parts(value, where)


def _block(item: Mapping[str, Any], where: str) -> Iterator[str]:
    """A block in one line; a stage as its parts."""
    if any(isinstance(value, list) for value in item.values()):
        yield from _parts(item, where)
        return
    ops = [_op(name, value) for name, value in item.items() if isinstance(value, dict)]
    repeat = item.get("repeat", 1)
    yield "<br/>".join([*ops, *([f"{repeat} times"] if repeat != 1 else [])])


def _op(name: str, op: Mapping[str, Any]) -> str:
    return f"{name}: {op['op']} {_values({key: value for key, value in op.items() if key != 'op'})}".strip()


def _values(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {str(value).lower()}" for name, value in values.items() if value is not None)


def _mermaid(lines: list[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])
