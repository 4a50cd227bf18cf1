"""Views: what people and pages read, compiled from the ledger and from nothing else.

Takes the ordered ledger, gives files by path: `logs/experiments.jsonl`, `logs/evolution_log.jsonl`, `logs/lineage.csv`,
`docs/metrics.json` and shards of 1,000 rows in `docs/data/`. Equal ledgers give equal bytes. Never a source.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aams.canonical import to_data
from aams.errors import AamsError
from aams.files import write_whole
from aams.strict import read_json
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
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded, tips, up_to
from safety.state import Lineage, fold

METRICS = "docs/metrics.json"
SHARD_ROWS = 1000
NEWEST_ROWS = 80
BEST_ROWS = 40
SUMMARY = (
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


def compile_views(ledger: Sequence[Recorded]) -> dict[str, bytes]:
    """Compile every view.

    Returns:
        Content by path relative to the lab's root.
    """
    rows = experiments(ledger)
    shards = [rows[start : start + SHARD_ROWS] for start in range(0, len(rows), SHARD_ROWS)]
    names = [f"data/experiments-{index:04d}.json" for index in range(len(shards))]
    return {
        "logs/experiments.jsonl": _lines(rows),
        "logs/evolution_log.jsonl": _lines(evolution_log(ledger)),
        "logs/lineage.csv": _lineage(ledger),
        **{f"docs/{name}": _json(shard) for name, shard in zip(names, shards, strict=True)},
        METRICS: _json(_metrics(ledger, rows, names)),
    }


def write_views(root: Path, ledger: Sequence[Recorded]) -> None:
    """Bring the view files up to date; files that are right already are left alone."""
    for name, content in compile_views(ledger).items():
        path = root / name
        if not path.exists() or path.read_bytes() != content:
            write_whole(path, content)


def acceptable(root: Path, ledger: Sequence[Recorded]) -> dict[str, tuple[bytes | None, ...]]:
    """What each view file may hold: what the ledger compiles to, or what it did when the views were last written.

    A killed command leaves views that are behind the ledger, some of them perhaps up to date; the next cycle writes
    them. `metrics.json` is written last and names the tips it was compiled from. None: the file may be absent.
    """
    now, then = compile_views(ledger), compile_views(up_to(_tips_of(root), ledger))
    return {name: tuple({now.get(name), then.get(name)}) for name in {**now, **then}}


def _tips_of(root: Path) -> frozenset[str]:
    """The entries that the written views end with; none when there are no views that say so."""
    try:
        metrics = read_json((root / METRICS).read_bytes(), METRICS)
        return frozenset(metrics["ledger"]["tips"])
    except (OSError, AamsError, KeyError, TypeError):
        return frozenset()


def experiments(ledger: Sequence[Recorded]) -> list[dict[str, Any]]:
    """One row for every cycle, oldest first: what was tried, what it scored, what became of it."""
    rows: dict[str, dict[str, Any]] = {}
    for entry, _ in ledger:
        match facts_of(entry):
            case Opened() as facts:
                rows[entry.cycle] = {
                    "cycle": entry.cycle,
                    "domain": entry.domain,
                    "time": entry.time,
                    "seed": facts.seed,
                    "planner": facts.planner,
                    "trigger": facts.trigger,
                    "parent": facts.parent,
                    "generation": "",
                    "outcome": "open",
                    "reason": "",
                    "children": [],
                    "cpu_s": 0.0,
                    "wall_s": 0.0,
                }
            case Proposed() as facts:
                rows[entry.cycle]["children"] = [
                    {
                        "spec": child.spec,
                        "mutations": [
                            {"operator": mutation.operator, "path": mutation.path, "rationale": mutation.rationale}
                            for mutation in child.mutations
                        ],
                        "rationale": child.rationale,
                        "predicted_effect": child.predicted_effect,
                        "parameters": child.cost.parameters,
                        "step_flops": child.cost.step_flops,
                        "validation": None,
                    }
                    for child in facts.children
                ]
                rows[entry.cycle]["refused"] = len(facts.refused)
            case Trained() as facts:
                rows[entry.cycle]["cpu_s"] = round(rows[entry.cycle]["cpu_s"] + facts.cpu_s, 3)
                rows[entry.cycle]["wall_s"] = round(rows[entry.cycle]["wall_s"] + facts.wall_s, 3)
            case Screened() as facts:
                scores = {score.spec: score.accuracy for score in facts.scores}
                for child in rows[entry.cycle]["children"]:
                    child["validation"] = scores.get(child["spec"])
                rows[entry.cycle] |= {
                    "control_validation": facts.control,
                    "screen_margin": facts.margin,
                    "best": facts.best,
                }
            case Attempted() as facts:
                rows[entry.cycle]["generation"] = facts.generation
            case Looked() as facts:
                rows[entry.cycle].setdefault("pairs", []).extend(to_data(facts.pairs))
            case Verdict() as facts:
                rows[entry.cycle] |= {
                    "outcome": "waiting" if facts.outcome == "accepted" else "rejected",
                    "reason": "; ".join(facts.reasons),
                    "best": facts.spec,
                    "criteria": to_data(facts.criteria),
                    "scores": to_data(facts.child),
                    "control_scores": to_data(facts.control),
                    "look": to_data(facts.look),
                }
            case Revealed() as facts:
                rows[entry.cycle]["placebo"] = facts.placebo
            case Recalled() as facts:
                rows[entry.cycle] |= {"generation": facts.generation, "outcome": "waiting", "reason": facts.reason}
                rows[entry.cycle]["rollback"] = True
            case Approved() as facts:
                rows[entry.cycle]["approved_by"] = facts.approver.principal
            case Closed() as facts:
                rows[entry.cycle] |= {"outcome": facts.outcome, "reason": facts.reason or rows[entry.cycle]["reason"]}
    return list(rows.values())


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


def _lineage(ledger: Sequence[Recorded]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, LINEAGE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    lineages = fold(ledger).lineages
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


def _metrics(ledger: Sequence[Recorded], rows: list[dict[str, Any]], shards: list[str]) -> dict[str, Any]:
    lineages = fold(ledger).lineages
    attempts = [row for row in rows if _is_attempt(row)]
    best = sorted(
        (row for row in attempts if row.get("scores") and not row.get("placebo")),
        key=lambda row: (-row["scores"]["generalize"], row["cycle"]),
    )
    newest, attempted = rows[-NEWEST_ROWS:][::-1], attempts[-NEWEST_ROWS:][::-1]
    return {
        "schema_version": 1,
        "ledger": {
            "entries": len(ledger),
            "tips": list(tips(ledger)),
            "newest": ledger[-1].entry.time if ledger else None,
        },
        "totals": {domain: _totals(rows, domain) for domain in sorted({row["domain"] for row in rows})},
        "champions": {
            domain: _champion(lineage, rows) for domain, lineage in sorted(lineages.items()) if lineage.champion
        },
        "placebos": {
            domain: {"revealed": lineage.placebos, "promoted": lineage.false_promotions}
            for domain, lineage in sorted(lineages.items())
        },
        "rows": {row["cycle"]: _summary(row) for row in [*newest, *attempted, *best[:BEST_ROWS]]},
        "newest": [row["cycle"] for row in newest],
        "attempts": [row["cycle"] for row in attempted],
        "best": [row["cycle"] for row in best[:BEST_ROWS]],
        "shards": shards,
    }


def _summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in short: with the change that was taken furthest, and how many children there were."""
    children = row["children"]
    best = next((child for child in children if child["spec"] == row.get("best")), None)
    return {
        **{name: row[name] for name in SUMMARY if row.get(name) not in (None, "")},
        "children": len(children),
        "change": best["rationale"] if best else "",
    }


def _champion(lineage: Lineage, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The champion, with the cycle that first tried it."""
    champion = lineage.champion
    cycle = next(one.cycle for one in lineage.generations if champion and one.name == champion.generation)
    row = next(row for row in rows if row["cycle"] == cycle)
    return {name: row.get(name) for name in ("generation", "time", "scores", "look", "cycle", "best")}


def _is_attempt(row: Mapping[str, Any]) -> bool:
    """Whether a cycle took a generation's number; a rollback names an earlier one."""
    return bool(row["generation"]) and not row.get("rollback")


def _totals(rows: Iterable[Mapping[str, Any]], domain: str) -> dict[str, Any]:
    mine = [row for row in rows if row["domain"] == domain]
    return {
        "cycles": len(mine),
        "children": sum(len(row["children"]) for row in mine),
        "attempts": sum(map(_is_attempt, mine)),
        "accepted": sum(row["outcome"] == "accepted" for row in mine),
        "cpu_s": round(sum(row["cpu_s"] for row in mine), 1),
    }


def _json(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _lines(rows: Iterable[Any]) -> bytes:
    return b"".join(_json(row) for row in rows)
