"""The columns that the page's charts are drawn from: what is compared of every cycle and every child, and no more.

Takes rows, gives one object of equally long lists. Words are numbers into `words`, so that a file of 10,000 cycles
stays small; None is what was never measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aams.views.rows import best_child

Gene = int | float | str | bool
CYCLE_WORDS = ("domain", "planner", "outcome")
CHILD_WORDS = ("operator", "status")


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Turn rows into columns.

    Returns:
        `cycles`: a list for each name, one value a cycle. `children`: likewise, one value a child; `cycle` is its
        cycle's place in this file. `genes`: a list for each gene, one value a child, None where its spec has none.
        `words`: what the numbers in the columns of `CYCLE_WORDS` and `CHILD_WORDS`, and words among genes, stand for.
    """
    words: dict[str, dict[str, int]] = {}

    def number(kind: str, word: str) -> int:
        known = words.setdefault(kind, {})
        return known.setdefault(word, len(known))

    cycles = [_cycle(row) for row in rows]
    children = [{"cycle": index, **one} for index, row in enumerate(rows) for one in _children(row)]
    genes = [outline(child["tree"]) for row in rows for child in row["children"]]
    for one in cycles:
        one |= {name: number(name, one[name]) for name in CYCLE_WORDS}
    for one in children:
        one |= {name: number(name, one[name]) for name in CHILD_WORDS}
    coded = {}
    for name in sorted({name for one in genes for name in one}):
        values = [one.get(name) for one in genes]
        if any(isinstance(value, str) for value in values):
            values = [None if value is None else number(name, str(value)) for value in values]
        coded[name] = values
    return {
        "schema_version": 1,
        "cycles": _turned(cycles),
        "children": _turned(children),
        "genes": coded,
        "words": {kind: list(known) for kind, known in words.items()},
    }


def outline(tree: Mapping[str, Any]) -> dict[str, Gene]:
    """What a spec's fields come to, by name: widths and rates as they are, ops of its blocks as one word, their number.

    Args:
        tree: a spec as written; what it leaves out has its default and no name here.
    """
    found: dict[str, Gene] = {}
    for part in (tree.get("model"), tree.get("training")):
        if isinstance(part, Mapping):
            _outline(part, "", found)
    return found


def _outline(node: Mapping[str, Any], place: str, found: dict[str, Gene]) -> None:
    for name, value in node.items():
        if isinstance(value, list):
            _blocks(value, place, found)
        elif isinstance(value, Mapping):
            if "op" in value:
                found[place + name] = str(value["op"])
            inner = {key: one for key, one in value.items() if key != "op"}
            _outline(inner, place if name in ("optimizer", "schedule") else f"{place}{name}.", found)
        elif isinstance(value, int | float | str):
            found[place + name] = value


def _blocks(blocks: Iterable[Any], place: str, found: dict[str, Gene]) -> None:
    """A list of blocks, or of stages of blocks: how deep, how wide, and of which ops."""
    stages = [one for one in blocks if isinstance(one, Mapping)]
    nested = [one["blocks"] if isinstance(one.get("blocks"), list) else [one] for one in stages]
    inner = [block for part in nested for block in part if isinstance(block, Mapping)]
    found[f"{place}depth"] = sum(_whole(block.get("repeat", 1)) for block in inner)
    for role in sorted({role for block in inner for role in block}):
        ops = {
            str(block[role]["op"]) for block in inner if isinstance(block.get(role), Mapping) and "op" in block[role]
        }
        if ops:
            found[place + role] = "+".join(sorted(ops))
    widths = [_whole(one["width"]) for one in stages if "width" in one]
    if widths:
        found[f"{place}width"] = max(widths)


def _whole(value: Any) -> int:
    """A whole number as it is; the ledger vouches for no more than JSON."""
    return value if isinstance(value, int) else 0


def _cycle(row: Mapping[str, Any]) -> dict[str, Any]:
    look, pairs = row.get("look") or {}, row.get("pairs", [])
    return {
        "id": row["cycle"],
        "time": row["time"],
        "generation": row["generation"],
        "parent": row["parent"],
        "fitness": (row.get("scores") or {}).get("generalize"),
        "control": (row.get("control_scores") or {}).get("generalize"),
        "screen": row.get("control_validation"),
        "best": next((at for at, one in enumerate(row["children"]) if one["spec"] == row.get("best")), None),
        "runs": [pair["child"]["generalize"] for pair in pairs],
        "placebo": row.get("placebo"),
        "rollback": row.get("rollback", False),
        "used_flops": row["used_flops"],
        **{name: look.get(name) for name in ("gain", "low", "high", "e_value", "level")},
        **{name: row[name] for name in CYCLE_WORDS},
    }


def _children(row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    runs = {run["spec"]: run for run in row["runs"] if run["stage"] == "trial" and run["arm"] == "child"}
    best = best_child(row)
    for child in row["children"]:
        run = runs.get(child["spec"], {})
        operators = dict.fromkeys(one["operator"] for one in child["mutations"])
        yield {
            "operator": " + ".join(operators) or row["planner"],
            "status": run.get("status", "not trained"),
            "taken": child is best and bool(row["generation"]),
            "validation": child["validation"],
            "predicted": child["predicted_effect"],
            "parameters": child["cost"]["parameters"],
            "flops": child["cost"]["forward_flops"],
            "bytes": child["cost"]["activation_bytes"] + child["cost"]["optimizer_bytes"],
            "latency_ms": run.get("latency_ms"),
        }


def _turned(table: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [one[name] for one in table] for name in (table[0] if table else ())}
