"""The logs among the views: every transition in the contract's vocabulary, and one line for every generation.

Takes the ordered ledger, gives plain JSON and CSV.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from aams.canonical import to_data
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Frozen,
    Looked,
    Opened,
    Recalled,
    Screened,
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded
from safety.state import State


def evolution_log(ledger: Iterable[Recorded]) -> list[dict[str, Any]]:
    """Every transition in the contract's vocabulary."""
    log: list[dict[str, Any]] = []
    generation: dict[str, str] = {}
    for entry, digest in ledger:
        facts = facts_of(entry)
        if isinstance(facts, Attempted | Recalled):
            generation[entry.cycle] = facts.generation
        for action, details in _actions(facts):
            log.append(
                {
                    "timestamp": entry.time,
                    "domain": entry.domain,
                    "cycle": entry.cycle,
                    "generation": generation.get(entry.cycle, ""),
                    "action": action,
                    **details,
                    "entry": digest,
                }
            )
    return log


def _actions(facts: Any) -> list[tuple[str, dict[str, Any]]]:
    match facts:
        case Opened():
            return [("PROPOSE", {"seed": facts.seed, "planner": facts.planner, "parent": facts.parent})]
        case Frozen():
            frozen = {"stage": facts.stage, "sha256": facts.manifest}
            return [("MANIFEST_FROZEN", frozen), ("TRAIN_START", {"stage": facts.stage, "runs": facts.runs})]
        case Trained():
            finished = sum(run.status == "finished" for run in facts.runs)
            return [("TRAIN_COMPLETE", {"stage": facts.stage, "finished": finished, "wall_s": facts.wall_s})]
        case Screened():
            return [("EVAL_COMPLETE", {"stage": "trial", "passed": facts.passed})]
        case Looked():
            found = {"pairs": facts.look.pairs, "e_value": facts.look.e_value} if facts.look else {}
            stage = "attempt" if facts.look else "root"
            return [("EVAL_COMPLETE", {"stage": stage, "standing": facts.standing, **found})]
        case Verdict():
            passed = facts.outcome == "accepted"
            return [
                ("ARBITER_VERIFY", {"result": "PASS" if passed else "FAIL", "reasons": list(facts.reasons)}),
                ("ARCHIVE", {"sha256": facts.archive}),
            ]
        case Approved():
            return [("COMMIT", {"head_updated": True, "approved_by": facts.approver.principal})]
        case Closed() if facts.outcome not in ("accepted", "rolled-back"):
            return [("REJECT", {"head_updated": False, "reasons": [facts.outcome, facts.reason]})]
    return []


LINEAGE_COLUMNS = (
    "domain",
    "generation",
    "parent",
    "promoted",
    "status",
    "time",
    "cycle",
    "spec",
    "weights",
    "recall",
    "generalize",
    "tone_drift",
    "law_violations",
    "pairs",
    "e_value",
    "reason",
)


def lineage_table(ledger: Sequence[Recorded], state: State) -> bytes:
    """One line for every verdict, as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, LINEAGE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    lineages = state.lineages
    for entry, _ in ledger:
        facts = facts_of(entry)
        if isinstance(facts, Verdict):
            generation = next(one for one in lineages[entry.domain].generations if one.name == facts.generation)
            scores = to_data(facts.child) if facts.child else {}
            row = {
                "domain": entry.domain,
                "generation": facts.generation,
                "parent": generation.parent,
                "promoted": str(generation.status == "accepted").lower(),
                "status": generation.status,
                "time": entry.time,
                "cycle": entry.cycle,
                "spec": facts.spec,
                "weights": facts.weights,
                "pairs": facts.look.pairs if facts.look else "",
                "e_value": facts.look.e_value if facts.look else "",
                "reason": "; ".join(facts.reasons),
                **{name: scores.get(name, "") for name in ("recall", "generalize", "tone_drift", "law_violations")},
            }
            writer.writerow({name: _cell(value) for name, value in row.items()})
    return stream.getvalue().encode()


def _cell(value: Any) -> str:
    """A CSV cell that no spreadsheet takes for a formula."""
    text = str(value).replace("\r", " ")
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t") and not isinstance(value, int | float) else text
