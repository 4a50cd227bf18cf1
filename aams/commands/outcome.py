"""How a cycle is told to a person: what was mutated, what it costs, every criterion with its numbers, where to look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aams import views
from aams.canonical import to_data
from aams.commands.output import table
from aams.cycle import Ended, Lab, Preview
from aams.records import Child, Cost, Criterion
from compiler import spec
from compiler.cost import estimate
from domains import active_interface
from safety.archive import generation_path
from safety.events import Opened, Proposed, ProposedChild, Screened, Trained, Verdict, without_score


def outcome_data(lab: Lab, ended: Ended) -> dict[str, Any]:
    """One cycle as plain data: its row of `logs/experiments.jsonl`."""
    return next(row for row in views.experiments(lab.recorded) if row["cycle"] == ended.cycle)


def outcome_lines(lab: Lab, ended: Ended) -> list[str]:
    """One cycle as a short report."""
    facts = lab.facts(ended.cycle)
    proposed = next((one for one in facts if isinstance(one, Proposed)), None)
    screened = next((one for one in facts if isinstance(one, Screened)), None)
    verdict = next((one for one in facts if isinstance(one, Verdict)), None)
    lines = [""]
    if proposed and screened:
        reasons = without_score(one for one in facts if isinstance(one, Trained))
        lines += _trials(proposed, screened, reasons, parent_cost(lab, ended))
    if verdict and verdict.criteria:
        lines += ["", *_criteria(verdict)]
    name = f"{ended.domain}/{ended.generation}" if ended.generation else f"cycle {ended.cycle}"
    waits = "waits for the second key" if ended.outcome == "waiting" else ended.outcome
    lines += ["", f"{name}: {waits}. {_sentence(ended.reason)}", "", *_pointers(lab, ended)]
    return lines


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:] + ("" if reason.endswith(".") else ".")


def parent_cost(lab: Lab, ended: Ended) -> Cost:
    """What the parent of a cycle's children costs."""
    opened = next(one for one in lab.facts(ended.cycle) if isinstance(one, Opened))
    attempts = lab.lineage(ended.domain).generations
    directory = next(attempt.directory for attempt in attempts if attempt.name == opened.parent)
    parent = spec.read(generation_path(lab.root, ended.domain, directory) / "spec.yaml")
    return estimate(parent.tree, active_interface(ended.domain))


def _trials(proposed: Proposed, screened: Screened, reasons: Mapping[str, str], parent: Cost) -> list[str]:
    accuracy = {score.spec: score.accuracy for score in screened.scores}
    rows = [("", "validation", "parameters", "FLOPs a step", "change")]
    costs = (f"{parent.parameters:,}", _flops(parent))
    rows.append(("control", f"{screened.control:.4f}", *costs, "the champion, retrained"))
    for child in proposed.children:
        value = accuracy.get(child.spec)
        mark = "best" if child.spec == screened.best else ""
        shown = f"{value:.4f}" if value is not None else reasons.get(child.spec, "could not be scored")
        rows.append((mark, shown, f"{child.cost.parameters:,}", _flops(child.cost), _change(child)))
    refused = [f"{len(proposed.refused)} more were refused by the gates."] if proposed.refused else []
    return [*table(rows, right=frozenset({1, 2, 3})), *refused]


def _change(child: ProposedChild | Child) -> str:
    return "; ".join(mutation.rationale for mutation in child.mutations) or child.rationale


def _flops(cost: Cost) -> str:
    return f"{cost.step_flops / 1e9:.2f} G"


def _criteria(verdict: Verdict) -> list[str]:
    rows = [("criterion", "child", "", "bound", "")]
    rows += [_criterion(criterion) for criterion in verdict.criteria]
    return table(rows, right=frozenset({1, 3}))


def _criterion(criterion: Criterion) -> tuple[str, str, str, str, str]:
    verdict = "passed" if criterion.passed else "FAILED"
    return criterion.name, f"{criterion.value:g}", criterion.comparison, f"{criterion.bound:g}", verdict


def _pointers(lab: Lab, ended: Ended) -> list[str]:
    lines = []
    for attempt in lab.lineage(ended.domain).generations:
        if attempt.name == ended.generation:
            place = generation_path(lab.root, ended.domain, attempt.directory).relative_to(lab.root)
            lines.append(f"Why, with every number: {place}/EVAL.md")
    lines.append(f"What was recorded:      logs/cycles/{ended.cycle}/")
    lines.append(f"Its page:               make serve, then /#/experiment/{ended.cycle}")
    return lines


def preview_data(shown: Preview) -> dict[str, Any]:
    """A dry run as plain data."""
    return {
        "parent": shown.parent.id,
        "children": [
            {**_plain(child), "cost": to_data(shown.costs[child.spec.id]), "spec": child.spec.tree}
            for child in shown.children
        ],
        "refused": {spec: to_data(findings) for spec, findings in shown.refused.items()},
    }


def _plain(child: Child) -> Mapping[str, Any]:
    return {
        "id": child.spec.id,
        "mutations": to_data(child.mutations),
        "rationale": child.rationale,
        "predicted_effect": child.predicted_effect,
    }


def preview_lines(shown: Preview) -> list[str]:
    """A dry run as a table."""
    cost = shown.costs[shown.parent.id]
    rows = [("spec", "parameters", "FLOPs a step", "predicted", "change")]
    rows.append((shown.parent.id[:12], f"{cost.parameters:,}", _flops(cost), "", "the parent"))
    for child in shown.children:
        cost = shown.costs[child.spec.id]
        rows.append(
            (child.spec.id[:12], f"{cost.parameters:,}", _flops(cost), f"{child.predicted_effect:+.3f}", _change(child))
        )
    lines = table(rows, right=frozenset({1, 2, 3}))
    if shown.is_root:
        lines.append("The first cycle of this domain trains its baseline as G000.")
    for findings in shown.refused.values():
        lines += [f"refused by gate {finding.gate}: {finding.what}; got {finding.got}" for finding in findings]
    return [*lines, "", "Nothing was written."]
