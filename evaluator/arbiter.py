"""The arbiter: the one place that says accepted or rejected, and that asks for more evidence.

Takes the contract and released numbers, gives a `Look` at the pairs so far and, when no more are needed, a `Decision`
with every criterion's numbers and reasons in plain sentences. Thresholds are compared as exact decimals, written
positively: what is not a number never passes. What an e-value is, and which level an attempt gets, is
`evaluator.statistics`' business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal

from aams.canonical import to_data
from aams.records import Criterion, Decision, Evidence, Look, Pair
from evaluator import statistics
from safety.contract import Contract

MISSED = 0.05
"""How often the interval of a gain may miss it: it is a 95 % interval, whatever the contract's alpha."""
MOST_EVIDENCE = 1e12
"""E-values are released up to this: more convinces nobody."""


def look_at(contract: Contract, pairs: Sequence[Pair], attempt: int, discoveries: int) -> Look:
    """Look at an attempt's pairs in order, and stop at the first that decides.

    Args:
        pairs: of all batches so far; where looking stops does not depend on how they were batched.
        attempt: which hypothesis of its lineage it is, from 1.
        discoveries: attempts of the lineage that were accepted before.
    """
    limits = contract.promotion
    gains = gains_of(pairs)
    level = statistics.level(attempt, discoveries, limits.alpha)
    found = statistics.look(gains, level, limits.pairs_min, limits.pairs_max)
    return _released(found, gains, attempt, discoveries, level)


def gains_of(pairs: Sequence[Pair]) -> list[float]:
    """The differences child - control in generalize, as the test sees them; a run without a control is no pair."""
    return [float(_exact(pair.child.generalize) - _exact(pair.control.generalize)) for pair in pairs if pair.control]


def _released(found: statistics.Look, gains: Sequence[float], attempt: int, discoveries: int, level: float) -> Look:
    """A look as it goes on record: short numbers, and what the pairs that it used say of the gain."""
    used = gains[: found.pairs]
    low, high = statistics.confidence_sequence(used, MISSED)
    return Look(
        attempt=attempt,
        discoveries=discoveries,
        level=level,
        e_value=_short(min(found.e_value, MOST_EVIDENCE)),
        pairs=found.pairs,
        standing=found.verdict,
        gain=round(statistics.shrunken(used), 6),
        low=round(max(low, -1.0), 6),
        high=round(min(high, 1.0), 6),
    )


def look_back(contract: Contract, pairs: Sequence[Pair]) -> Look:
    """Look at the pairs of a re-challenge, whose child is the champion and whose control is its predecessor.

    The test is turned round: "proven" means that the predecessor is better, at the contract's alpha. The gain and its
    interval stay the champion's.
    """
    limits = contract.promotion
    gains = gains_of(pairs)
    found = statistics.look([-gain for gain in gains], float(limits.alpha), limits.pairs_min, limits.pairs_max)
    return _released(found, gains, 1, 0, float(limits.alpha))


def decide(contract: Contract, evidence: Evidence) -> Decision:
    """Hold the evidence against the contract's criteria; a root is held against those that need no parent."""
    broken = _not_finite(evidence)
    if broken:
        return Decision("rejected", (), tuple(f"{name} is not a finite number" for name in broken))
    return _decision(list(_criteria(contract, evidence)))


def refuse(contract: Contract, law_violations: int, *reasons: str) -> Decision:
    """Reject an attempt that could not be scored; the laws it broke are a criterion even so."""
    judged = _laws(contract, law_violations)
    decision = _decision([judged])
    return Decision("rejected", decision.criteria, (*reasons, *([] if judged[0].passed else [judged[1]])))


def _decision(judged: Sequence[tuple[Criterion, str]]) -> Decision:
    criteria = tuple(criterion for criterion, _ in judged)
    failed = tuple(sentence for criterion, sentence in judged if not criterion.passed)
    if failed:
        return Decision("rejected", criteria, failed)
    return Decision("accepted", criteria, tuple(sentence for _, sentence in judged))


def _criteria(contract: Contract, evidence: Evidence) -> Iterator[tuple[Criterion, str]]:
    """Every criterion with the sentence that explains it."""
    limits, child, control = contract.criteria, evidence.child, evidence.control
    recall = _exact(child.recall)
    if evidence.look:
        yield _proof(evidence.look)
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
    yield _laws(contract, child.law_violations)


def _laws(contract: Contract, count: int) -> tuple[Criterion, str]:
    return _at_most("law_violations", Decimal(count), Decimal(contract.criteria.law_violations), "the limit")


def _proof(look: Look) -> tuple[Criterion, str]:
    """Whether the gain is proven at this attempt's level; the sentence says how the test ended."""
    needed = _short(1 / look.level)
    passed = look.standing == "proven" and look.e_value >= needed
    endings = {
        "proven": f"Proven after {look.pairs} pairs",
        "futile": f"Given up after {look.pairs} pairs, which can't reach it any more",
        "undecided": f"Undecided after {look.pairs} pairs",
        "more": f"Undecided after {look.pairs} pairs",
    }
    verb = "is at least" if passed else "is below"
    sentence = f"{endings[look.standing]}: the e-value {look.e_value:g} {verb} {needed:g}, for attempt {look.attempt}"
    return Criterion("evidence", look.e_value, ">=", needed, passed), sentence


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


def _short(value: float) -> float:
    """A number to six digits: the one that is compared is the one that is shown."""
    return float(f"{value:.6g}")


def _exact(value: float) -> Decimal:
    """The decimal that a released number was rounded to: its shortest text."""
    return Decimal(repr(value))


def _not_finite(evidence: Evidence) -> list[str]:
    numbers = {
        "best recall": evidence.best_recall,
        "tone drift from the root": evidence.root_drift,
        **({"the e-value": evidence.look.e_value} if evidence.look else {}),
        **{f"the child's {name.replace('_', ' ')}": value for name, value in to_data(evidence.child).items()},
        **{
            f"the control's {name.replace('_', ' ')}": value
            for name, value in (to_data(evidence.control) or {}).items()
        },
    }
    return [name for name, value in numbers.items() if not math.isfinite(value)]
