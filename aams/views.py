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
    Attempted,
    Closed,
    Frozen,
    Opened,
    Proposed,
    Screened,
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded, tips

METRICS = "docs/metrics.json"
SHARD_ROWS = 1000
NEWEST_ROWS = 200
BEST_ROWS = 100


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
    now, then = compile_views(ledger), compile_views(_up_to(_tips_of(root), ledger))
    return {name: tuple({now.get(name), then.get(name)}) for name in {**now, **then}}


def _tips_of(root: Path) -> frozenset[str]:
    """The entries that the written views end with; none when there are no views that say so."""
    try:
        metrics = read_json((root / METRICS).read_bytes(), METRICS)
        return frozenset(metrics["ledger"]["tips"])
    except (OSError, AamsError, KeyError, TypeError):
        return frozenset()


def _up_to(wanted: frozenset[str], ledger: Sequence[Recorded]) -> list[Recorded]:
    """The part of an ordered ledger that these entries follow, themselves included."""
    included = set(wanted)
    for entry, digest in reversed(ledger):
        if digest in included:
            included.update(entry.follows)
    return [recorded for recorded in ledger if recorded.digest in included]


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
                rows[entry.cycle] |= {"generation": facts.generation, "best": facts.spec}
            case Verdict() as facts:
                rows[entry.cycle] |= {
                    "outcome": facts.outcome,
                    "reason": "; ".join(facts.reasons),
                    "criteria": to_data(facts.criteria),
                    "scores": to_data(facts.child),
                    "control_scores": to_data(facts.control),
                    "pairs": to_data(facts.pairs),
                }
            case Closed() as facts:
                rows[entry.cycle] |= {"outcome": facts.outcome, "reason": facts.reason or rows[entry.cycle]["reason"]}
    return list(rows.values())


def evolution_log(ledger: Iterable[Recorded]) -> list[dict[str, Any]]:
    """Every transition in the contract's vocabulary."""
    log: list[dict[str, Any]] = []
    generation: dict[str, str] = {}
    for entry, digest in ledger:
        facts = facts_of(entry)
        if isinstance(facts, Attempted):
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
        case Verdict():
            passed = facts.outcome == "accepted"
            scores = {"recall": facts.child.recall, "generalize": facts.child.generalize} if facts.child else {}
            return [
                ("EVAL_COMPLETE", {"stage": "attempt", **scores}),
                ("ARBITER_VERIFY", {"result": "PASS" if passed else "FAIL", "reasons": list(facts.reasons)}),
                ("COMMIT" if passed else "REJECT", {"head_updated": passed}),
                ("ARCHIVE", {"sha256": facts.archive}),
            ]
        case Closed() if facts.outcome not in ("accepted", "rejected"):
            return [("REJECT", {"head_updated": False, "reasons": [facts.outcome, facts.reason]})]
    return []


LINEAGE_COLUMNS = (
    "domain",
    "generation",
    "parent",
    "promoted",
    "time",
    "cycle",
    "spec",
    "weights",
    "recall",
    "generalize",
    "tone_drift",
    "law_violations",
    "reason",
)


def _lineage(ledger: Iterable[Recorded]) -> bytes:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, LINEAGE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry, _ in ledger:
        facts = facts_of(entry)
        if isinstance(facts, Verdict):
            scores = to_data(facts.child) if facts.child else {}
            row = {
                "domain": entry.domain,
                "generation": facts.generation,
                "parent": facts.head_before,
                "promoted": str(facts.outcome == "accepted").lower(),
                "time": entry.time,
                "cycle": entry.cycle,
                "spec": facts.spec,
                "weights": facts.weights,
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
    champions: dict[str, Any] = {}
    for row in rows:
        if row["outcome"] == "accepted":
            champions[row["domain"]] = {
                name: row.get(name) for name in ("generation", "time", "scores", "cycle", "best")
            }
    attempts = [row for row in rows if row["generation"]]
    best = sorted(
        (row for row in attempts if row.get("scores")), key=lambda row: (-row["scores"]["generalize"], row["cycle"])
    )
    return {
        "schema_version": 1,
        "ledger": {
            "entries": len(ledger),
            "tips": list(tips(ledger)),
            "newest": ledger[-1].entry.time if ledger else None,
        },
        "totals": {domain: _totals(rows, domain) for domain in sorted({row["domain"] for row in rows})},
        "champions": champions,
        "attempts": attempts[-NEWEST_ROWS:][::-1],
        "newest": rows[-NEWEST_ROWS:][::-1],
        "best": best[:BEST_ROWS],
        "shards": shards,
    }


def _totals(rows: Iterable[Mapping[str, Any]], domain: str) -> dict[str, Any]:
    mine = [row for row in rows if row["domain"] == domain]
    return {
        "cycles": len(mine),
        "children": sum(len(row["children"]) for row in mine),
        "attempts": sum(bool(row["generation"]) for row in mine),
        "accepted": sum(row["outcome"] == "accepted" for row in mine),
        "cpu_s": round(sum(row["cpu_s"] for row in mine), 1),
    }


def _json(data: Any) -> bytes:
    return (json.dumps(data, ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _lines(rows: Iterable[Any]) -> bytes:
    return b"".join(_json(row) for row in rows)
