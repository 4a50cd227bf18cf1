"""The two texts of a generation's directory: EVAL.md, why it was decided so, and MODEL_CARD.md, what it is.

Takes records, gives Markdown. Whatever is not a number or a word of AAMS is shown as code, in one line, in ASCII.
Never decides and never computes a score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aams.records import Cost, Decision, Evidence, Inputs, Look, Mutation, Pair
from evaluator.markdown import code, json_text, line, table


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that is told of one generation.

    Attributes:
        spec: id of the child's spec.
        licence: of the corpus.
        parent_cost: None for a root.
        evidence: None when the child could not be scored.
        inputs: of the manifest it was trained under.
        isolation: what confined the trainer.
        wanted_gain: in generalize, by the contract.
    """

    generation: str
    spec: str
    licence: str
    mutations: tuple[Mutation, ...]
    cost: Cost
    parent_cost: Cost | None
    evidence: Evidence | None
    decision: Decision
    inputs: Inputs
    isolation: str
    wanted_gain: float


def eval_report(dossier: Dossier) -> str:
    """Write EVAL.md: the decision, its reasons, and every number it rests on."""
    inputs, decision = dossier.inputs, dossier.decision
    origin = f"A child of {inputs.parent}" if inputs.parent else "The root of a lineage"
    show = line if dossier.evidence else code  # else the reasons quote what came back
    sections = [
        f"# {inputs.domain}/{dossier.generation}: {decision.outcome}",
        f"{origin}, trained on {code(inputs.corpus)} in cycle {code(inputs.cycle)}.",
        "## Why",
        "\n".join(f"- {show(reason)}." for reason in decision.reasons),
    ]
    if decision.criteria:
        rows = (
            (
                criterion.name,
                f"{criterion.value:g}",
                criterion.comparison,
                f"{criterion.bound:g}",
                "passed" if criterion.passed else "**failed**",
            )
            for criterion in decision.criteria
        )
        sections += ["## Criteria", table(("criterion", "child", "", "bound", ""), rows)]
    if dossier.evidence:
        sections += _evidence(dossier.evidence)
    if dossier.mutations:
        sections += ["## What was changed", "\n".join(mutation_line(mutation) for mutation in dossier.mutations)]
    sections += ["## What it costs", costs_table(dossier.parent_cost, dossier.cost)]
    return "\n\n".join(sections) + "\n"


def model_card(dossier: Dossier) -> str:
    """Write MODEL_CARD.md: one page, six bullets."""
    inputs, evidence, cost = dossier.inputs, dossier.evidence, dossier.cost
    runs = [run for run in inputs.runs if run.spec == dossier.spec]
    count = len(evidence.pairs) if evidence else 0
    scores = "none: it could not be scored"
    if evidence:
        fit = evidence.child
        scores = f"recall {fit.recall:g}, generalize {fit.generalize:g}, {fit.bits:g} bits; means over {count} runs"
    changes = "; ".join(f"{mutation.operator} at {code(mutation.path)}" for mutation in dossier.mutations)
    lineage = f"{changes or 'unchanged'}, from {inputs.parent}" if inputs.parent else "the root of its lineage"
    corpus = inputs.digests.get("corpus", "unknown")
    bullets = (
        ("What", f"a {inputs.domain} model, {dossier.decision.outcome}; spec {code(dossier.spec)}"),
        ("Lineage", lineage),
        ("Size", f"{cost.parameters:,} parameters, {cost.forward_flops:,} FLOPs forward for one item"),
        ("Data", f"{code(inputs.corpus)}, licence {code(dossier.licence)}, SHA-256 {code(corpus)}"),
        ("Training", f"{runs[0].steps:,} steps, {inputs.compute_flops:,} FLOPs a run; {code(dossier.isolation)}"),
        ("Scores", f"{scores}. Made to compare architectures within minutes, not to be relied on"),
    )
    return f"# {inputs.domain}/{dossier.generation}\n\n" + "".join(f"- **{name}:** {text}.\n" for name, text in bullets)


def _evidence(evidence: Evidence) -> Iterator[str]:
    arms = [("child", evidence.child)] + ([("control", evidence.control)] if evidence.control else [])
    rows = (
        (arm, f"{fit.recall:g}", f"{fit.generalize:g}", f"{fit.tone_drift:g}", f"{fit.bits:g}", fit.law_violations)
        for arm, fit in arms
    )
    yield "## Scores"
    yield (
        "Recomputed from the returned weights; means over runs, rounded as the contract says. The criteria compare the "
        "means before that."
    )
    yield table(("", "recall", "generalize", "tone drift", "bits", "law violations"), rows)
    if evidence.look:
        yield from _pairs(evidence.look, evidence.pairs)


def _pairs(look: Look, pairs: Sequence[Pair]) -> Iterator[str]:
    differences = (
        (
            pair.pair,
            f"{pair.child.generalize:g}",
            f"{pair.control.generalize:g}",
            f"{pair.child.generalize - pair.control.generalize:+.4f}",
        )
        for pair in pairs
        if pair.control
    )
    yield "## Pairs"
    yield "Generalize of a child's run and a control's run on one block of the holdout."
    yield "![paired differences](pairs.svg)"
    yield table(("pair", "child", "control", "difference"), differences)
    yield (
        f"Attempt {look.attempt} of its lineage, after {look.discoveries} that were accepted: the e-value is "
        f"{look.e_value:g} after {look.pairs} pairs, and {1 / look.level:.6g} proves a gain. The gain is about "
        f"{look.gain:+.4f}, shrunken against the winner's curse; its interval, valid whenever one looks, is "
        f"{look.low:+.4f} to {look.high:+.4f}."
    )


def mutation_line(mutation: Mutation) -> str:
    """One change as an item of a list."""
    change = f"{code(json_text(mutation.before))} became {code(json_text(mutation.after))}"
    return f"- {mutation.operator} at {code(mutation.path)}: {change}. Why: {code(mutation.rationale)}"


def costs_table(parent: Cost | None, child: Cost) -> str:
    """What two specs cost, side by side."""
    shown = [("child", child)] if parent is None else [("parent", parent), ("child", child)]
    rows = (
        (
            arm,
            f"{cost.parameters:,}",
            f"{cost.forward_flops:,}",
            f"{cost.step_flops:,}",
            f"{cost.activation_bytes + cost.optimizer_bytes:,}",
        )
        for arm, cost in shown
    )
    return table(("", "parameters", "FLOPs forward", "FLOPs a step", "bytes in training"), rows)
