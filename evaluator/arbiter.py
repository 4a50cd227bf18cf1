"""The arbiter: the one place that says accepted or rejected.

Takes the contract and the evidence, gives a `Decision` with every criterion's numbers and reasons in plain sentences.
A pure function of released numbers, compared as exact decimals, written positively: what is not a number never passes.
For now the gain is that of the means over pairs; a sequential test over `Evidence.pairs` has its home here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from aams.canonical import to_data
from aams.records import Criterion, Decision, Evidence
from safety.contract import Contract


def decide(contract: Contract, evidence: Evidence) -> Decision:
    """Hold the evidence against the contract's criteria; a root is held against those that need no parent."""
    broken = _not_finite(evidence)
    if broken:
        return refuse(*(f"{name} is not a finite number" for name in broken))
    judged = list(_criteria(contract, evidence))
    criteria = tuple(criterion for criterion, _ in judged)
    failed = tuple(sentence for criterion, sentence in judged if not criterion.passed)
    if failed:
        return Decision("rejected", criteria, failed)
    return Decision("accepted", criteria, tuple(sentence for _, sentence in judged))


def refuse(*reasons: str) -> Decision:
    """Reject an attempt that could not be scored."""
    return Decision("rejected", (), reasons)


def _criteria(contract: Contract, evidence: Evidence) -> Iterator[tuple[Criterion, str]]:
    """Every criterion with the sentence that explains it."""
    limits, child, control = contract.criteria, evidence.child, evidence.control
    recall = _exact(child.recall)
    if control:
        parent, best, score = _exact(control.recall), _exact(evidence.best_recall), _exact(control.generalize)
        origin = f"the control's {score} plus {limits.generalize_gain}"
        yield _at_least("generalize", _exact(child.generalize), score + limits.generalize_gain, origin)
        origin = f"the control's {parent} less {limits.recall_drop}"
        yield _at_least("recall", recall, parent - limits.recall_drop, origin)
        origin = f"the lineage's best, {best}, less {limits.recall_best_drop}"
        yield _at_least("recall_best", recall, best - limits.recall_best_drop, origin)
        yield _at_most("tone_drift", _exact(child.tone_drift), limits.tone_drift, "the limit against the control")
        yield _at_most(
            "tone_drift_root", _exact(evidence.root_drift), limits.tone_drift_root, "the limit against the root"
        )
    yield _at_least("recall_floor", recall, limits.recall_floor, "the floor")
    yield _at_most("law_violations", Decimal(child.law_violations), Decimal(limits.law_violations), "the limit")


_SUBJECTS = {
    "generalize": "Generalize",
    "recall": "Recall",
    "recall_best": "Recall",
    "recall_floor": "Recall",
    "tone_drift": "Tone drift",
    "tone_drift_root": "Tone drift",
    "law_violations": "The number of law violations",
}


def _at_least(name: str, value: Decimal, bound: Decimal, origin: str) -> tuple[Criterion, str]:
    passed = value >= bound
    verb = "is at least" if passed else "is below"
    return Criterion(
        name, float(value), ">=", float(bound), passed
    ), f"{_SUBJECTS[name]} {value} {verb} {bound}, {origin}"


def _at_most(name: str, value: Decimal, bound: Decimal, origin: str) -> tuple[Criterion, str]:
    passed = value <= bound
    verb = "is at most" if passed else "is above"
    return Criterion(
        name, float(value), "<=", float(bound), passed
    ), f"{_SUBJECTS[name]} {value} {verb} {bound}, {origin}"


def _exact(value: float) -> Decimal:
    """The decimal that a released number was rounded to: its shortest text."""
    return Decimal(repr(value))


def _not_finite(evidence: Evidence) -> list[str]:
    numbers = {
        "best recall": evidence.best_recall,
        "tone drift from the root": evidence.root_drift,
        **{f"the child's {name.replace('_', ' ')}": value for name, value in to_data(evidence.child).items()},
        **{
            f"the control's {name.replace('_', ' ')}": value
            for name, value in (to_data(evidence.control) or {}).items()
        },
    }
    return [name for name, value in numbers.items() if not math.isfinite(value)]
