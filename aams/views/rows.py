"""The rows of the views: everything that is on record of one cycle, in one place.

Takes the ordered ledger, gives plain JSON. A row has what its page shows: what was tried and why, how it trained, what
it scored, what the test said after each pair, who signed, and which entries say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aams.canonical import to_data
from aams.records import Pair
from evaluator.arbiter import gains_of
from evaluator.statistics import e_path
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Frozen,
    Looked,
    Opened,
    Proposed,
    Recalled,
    Revealed,
    Screened,
    Signed,
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded
from safety.lineage import Lineage
from safety.state import State, fold

DIGITS = 6
"""Of an e-value."""


def experiments(ledger: Sequence[Recorded], state: State | None = None) -> list[dict[str, Any]]:
    """One row for every cycle, oldest first.

    Args:
        state: what the ledger folds to, where that is known already.
    """
    rows: dict[str, dict[str, Any]] = {}
    pairs: dict[str, list[Pair]] = {}
    for entry, digest in ledger:
        facts = facts_of(entry)
        if isinstance(facts, Opened):
            rows[entry.cycle] = _opened(entry.cycle, entry.domain, entry.time, facts)
        if isinstance(facts, Looked):
            pairs.setdefault(entry.cycle, []).extend(facts.pairs)
        _add(rows[entry.cycle], facts)
        rows[entry.cycle]["entries"].append({"event": entry.event, "time": entry.time, "digest": digest})
    _look_up(rows, (state or fold(ledger)).lineages)
    for cycle, taken in pairs.items():
        row = rows[cycle]
        row["pairs"] = to_data(tuple(taken))
        used = row["look"]["pairs"] if row.get("look") else 0
        row["evidence"] = [float(f"{one:.{DIGITS}g}") for one in e_path(gains_of(taken[:used]))]
    return list(rows.values())


def is_attempt(row: Mapping[str, Any]) -> bool:
    """Whether a cycle took a generation's number; a rollback names an earlier one."""
    return bool(row["generation"]) and not row.get("rollback")


def best_child(row: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The child that was taken furthest."""
    return next((child for child in row["children"] if child["spec"] == row.get("best")), None)


def _opened(cycle: str, domain: str, time: str, facts: Opened) -> dict[str, Any]:
    return {
        "cycle": cycle,
        "domain": domain,
        "time": time,
        "seed": facts.seed,
        "planner": facts.planner,
        "trigger": facts.trigger,
        "parent": facts.parent,
        "corpus": facts.corpus,
        "commit": facts.commit,
        "generation": "",
        "outcome": "open",
        "reason": "",
        "children": [],
        "bundles": [],
        "runs": [],
        "keys": [],
        "entries": [],
        "cpu_s": 0.0,
        "wall_s": 0.0,
        "used_flops": 0,
    }


def _add(row: dict[str, Any], facts: Any) -> None:
    """Put on a row what one event says."""
    match facts:
        case Proposed():
            row["children"] = [{**to_data(child), "validation": None} for child in facts.children]
            row["refused"] = to_data(facts.refused)
        case Frozen():
            row["bundles"].append({"stage": facts.stage, "batch": facts.batch, "manifest": facts.manifest})
            _sign(row, facts.proposer)
        case Trained():
            row["bundles"][-1] |= {
                "results": facts.results,
                "isolation": facts.isolation,
                "environment": facts.fingerprint,
                "used_flops": facts.used_flops,
                "cpu_s": facts.cpu_s,
                "wall_s": facts.wall_s,
            }
            row["runs"] += [{"stage": facts.stage, "batch": facts.batch, **to_data(run)} for run in facts.runs]
            row["used_flops"] += facts.used_flops
            for name, seconds in (("cpu_s", facts.cpu_s), ("wall_s", facts.wall_s)):
                row[name] = round(row[name] + seconds, 3)
        case Screened():
            scores = {score.spec: score.accuracy for score in facts.scores}
            for child in row["children"]:
                child["validation"] = scores.get(child["spec"])
            row |= {"control_validation": facts.control, "screen_margin": facts.margin, "best": facts.best}
        case Attempted():
            row["generation"] = facts.generation
        case Looked():
            row["look"] = to_data(facts.look)
        case Verdict():
            row |= {
                "outcome": "waiting" if facts.outcome == "accepted" else "rejected",
                "reason": "; ".join(facts.reasons),
                "best": facts.spec,
                "criteria": to_data(facts.criteria),
                "scores": to_data(facts.child),
                "control_scores": to_data(facts.control),
                "look": to_data(facts.look),
                "weights": facts.weights,
                "archive": facts.archive,
            }
        case Revealed():
            row["placebo"] = facts.placebo
        case Recalled():
            row |= {"generation": facts.generation, "outcome": "waiting", "reason": facts.reason, "rollback": True}
            _sign(row, facts.proposer)
        case Approved():
            row["approved_by"] = facts.approver.principal
            row["review"] = to_data(facts.review)
            _sign(row, facts.approver)
        case Closed():
            row |= {"outcome": facts.outcome, "reason": facts.reason or row["reason"]}


def _sign(row: dict[str, Any], signed: Signed | None) -> None:
    if signed:
        key = {"role": signed.statement.role, "principal": signed.principal, "fingerprint": signed.fingerprint}
        row["keys"] += [key] if key not in row["keys"] else []


def _look_up(rows: Mapping[str, dict[str, Any]], lineages: Mapping[str, Lineage]) -> None:
    """Where each generation is archived."""
    for lineage in lineages.values():
        for one in lineage.generations:
            if one.archive:
                rows[one.cycle]["directory"] = one.directory


def mutations_of(rows: Iterable[Mapping[str, Any]]) -> Iterable[tuple[Mapping[str, Any], Mapping[str, Any], str]]:
    """Every row with each of its children and each operator that made it."""
    for row in rows:
        for child in row["children"]:
            for operator in dict.fromkeys(mutation["operator"] for mutation in child["mutations"]):
                yield row, child, operator
