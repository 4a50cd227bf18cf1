"""`metrics.json`: what the first page shows, bounded however long the history is.

Takes the ordered ledger and its rows, gives plain JSON. Nothing in it depends on the time or on the contract: what
waits or is missing at this moment is for who looks to work out, from `states` and from the contract.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from aams.canonical import to_data
from aams.views.rows import best_child, is_attempt, mutations_of
from evaluator.statistics import binomial_interval, level
from safety.checkpoint import take
from safety.ledger import Recorded
from safety.lineage import Lineage
from safety.state import State

NEWEST_ROWS = 80
BEST_ROWS = 40
PREDICTIONS = 200
CHAMPIONS = 200
OPERATORS = 60
NORMAL_95 = 1.959964
HALF = Decimal("0.5")
FIELDS = (
    "domain",
    "time",
    "seed",
    "planner",
    "parent",
    "generation",
    "outcome",
    "reason",
    "placebo",
    "rollback",
    "scores",
    "control_scores",
    "control_validation",
    "look",
)
"""What the first page gets of a row; the shards have all of it."""


def summary(ledger: Sequence[Recorded], rows: Sequence[Mapping[str, Any]], state: State) -> dict[str, Any]:
    """Sum a lab up."""
    attempts = [row for row in rows if is_attempt(row)]
    best = sorted(
        (row for row in attempts if row.get("scores") and not row.get("placebo")),
        key=lambda row: (-row["scores"]["generalize"], row["cycle"]),
    )
    newest, attempted = rows[-NEWEST_ROWS:][::-1], attempts[-NEWEST_ROWS:][::-1]
    checkpoint = take(ledger, ())
    lineages = dict(sorted(state.lineages.items()))
    return {
        "schema_version": 1,
        "ledger": {
            "entries": checkpoint.entries,
            "root": checkpoint.root,
            "tips": list(checkpoint.tips),
            "newest": checkpoint.time or None,
        },
        "totals": {domain: _totals(rows, domain) for domain in sorted({row["domain"] for row in rows})},
        "champions": {domain: _champion(lineage, rows) for domain, lineage in lineages.items() if lineage.champion},
        "states": {domain: _state(state, lineage, domain) for domain, lineage in lineages.items()},
        "month_flops": dict(sorted(state.month_flops.items())[-12:]),
        "operators": _operators(rows),
        "predictions": _predictions(attempts)[-PREDICTIONS:],
        "keys": _keys(rows),
        "rows": {row["cycle"]: _in_short(row) for row in [*newest, *attempted, *best[:BEST_ROWS]]},
        "newest": [row["cycle"] for row in newest],
        "attempts": [row["cycle"] for row in attempted],
        "best": [row["cycle"] for row in best[:BEST_ROWS]],
    }


def _in_short(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in short: with the change that was taken furthest, and how many children there were."""
    best = best_child(row)
    return {
        **{name: row[name] for name in FIELDS if row.get(name) not in (None, "")},
        "children": len(row["children"]),
        "change": best["rationale"] if best else "",
    }


def _champion(lineage: Lineage, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The champion with the cycle that first tried it, and what its line began with."""
    by_cycle = {row["cycle"]: row for row in rows}
    cycles = {one.name: one.cycle for one in lineage.generations}
    champion, root = lineage.champion, lineage.root
    row = by_cycle[cycles[champion.generation]] if champion else {}
    first = by_cycle[cycles[root.generation]] if root else {}
    return {
        **{name: row.get(name) for name in ("generation", "time", "scores", "look", "cycle", "best")},
        "parent": row.get("parent", ""),
        "since": champion.since if champion else "",
        "root": {"generation": first.get("generation", ""), "scores": first.get("scores")},
        "line": _line(lineage),
    }


def _line(lineage: Lineage) -> list[str]:
    """The last champions, oldest first, as each stands on the one before."""
    parents = {one.name: one.parent for one in lineage.generations}
    line = [lineage.champion.generation] if lineage.champion else []
    while line and parents.get(line[-1]) and len(line) <= len(parents):
        line.append(parents[line[-1]])
    return line[:CHAMPIONS][::-1]


def _state(state: State, lineage: Lineage, domain: str) -> dict[str, Any]:
    """Where a domain stands, as far as the ledger says; `share` is what its next attempt may take of alpha."""
    hits, trials = lineage.false_promotions, lineage.placebos
    low, high = binomial_interval(hits, trials) if trials else (0.0, 1.0)
    return {
        "open": [
            {"cycle": one.id, "phase": one.phase, "since": one.since, "generation": one.recalled or one.generation}
            for one in state.open_cycles.values()
            if one.domain == domain
        ],
        "corpus": lineage.corpus,
        "attempts": lineage.attempts,
        "discoveries": lineage.discoveries,
        "alpha_spent": round(lineage.alpha_spent, 9),
        "share": level(lineage.attempts + 1, lineage.discoveries, HALF) * 2,
        "placebos": {"revealed": trials, "promoted": hits, "low": low, "high": high},
        "trials": lineage.trials,
        "predictions": to_data(lineage.predictions[-PREDICTIONS:]),
        "retested": lineage.retested,
        "outdone": lineage.outdone,
        "ended": lineage.ended,
    }


def _operators(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Which mutations help: each operator's children, their gain over the control on validation, and their fate."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    gains: dict[tuple[str, str], list[float]] = {}
    for row, child, operator in mutations_of(rows):
        key = (row["domain"], operator)
        one = found.setdefault(key, {"children": 0, "trained": 0, "screened": 0, "attempted": 0, "accepted": 0})
        one["children"] += 1
        taken = child is best_child(row)
        if child["validation"] is not None and row.get("control_validation") is not None:
            one["trained"] += 1
            gain = child["validation"] - row["control_validation"]
            gains.setdefault(key, []).append(gain)
            one["screened"] += gain >= row["screen_margin"]
        if taken and is_attempt(row) and not row.get("placebo"):
            one["attempted"] += 1
            one["accepted"] += row["outcome"] == "accepted"
    listed = [
        {"domain": key[0], "operator": key[1], **one, **_mean(gains.get(key, []))} for key, one in sorted(found.items())
    ]
    return sorted(listed, key=lambda one: -one["children"])[:OPERATORS]


def _mean(gains: Sequence[float]) -> dict[str, float | None]:
    """A mean with its normal 95 % interval, which needs two values."""
    if not gains:
        return {"mean": None, "low": None, "high": None}
    mean = statistics.fmean(gains)
    if len(gains) == 1:
        return {"mean": round(mean, 6), "low": None, "high": None}
    half = NORMAL_95 * statistics.stdev(gains) / len(gains) ** 0.5
    return {"mean": round(mean, 6), "low": round(mean - half, 6), "high": round(mean + half, 6)}


def _predictions(attempts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each attempt's planner promised, and what the arbiter measured."""
    return [
        {
            "cycle": row["cycle"],
            "domain": row["domain"],
            "predicted": child["predicted_effect"],
            **{name: row["look"][name] for name in ("gain", "low", "high")},
        }
        for row in attempts
        if row.get("look") and not row.get("placebo") and (child := best_child(row))
    ]


def _keys(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who has signed, under which key, how often and when last."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        for key in row["keys"]:
            one = found.setdefault((key["role"], key["principal"], key["fingerprint"]), {**key, "cycles": 0})
            one["cycles"] += 1
            one["last"] = row["time"]
    return [found[key] for key in sorted(found)]


def _totals(rows: Iterable[Mapping[str, Any]], domain: str) -> dict[str, Any]:
    mine = [row for row in rows if row["domain"] == domain]
    return {
        "cycles": len(mine),
        "children": sum(len(row["children"]) for row in mine),
        "attempts": sum(map(is_attempt, mine)),
        "accepted": sum(row["outcome"] == "accepted" for row in mine),
        "cpu_s": round(sum(row["cpu_s"] for row in mine), 1),
        "used_flops": sum(row["used_flops"] for row in mine),
    }
