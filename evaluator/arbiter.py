"""The arbiter: the one place that says accepted or rejected, and that asks for more evidence.

Takes the contract and released numbers, gives a `Look` at the pairs so far and, when no more are needed, a `Decision`
with every criterion's numbers and reasons in plain sentences. Thresholds are written positively, so that what is not a
number never passes, and compared exactly: a mean is that of the released scores, pair by pair, and is rounded only
where it is shown. What an e-value is, and which level an attempt gets, is `evaluator.statistics`' business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from aams.canonical import to_data
from aams.records import Criterion, Decision, Evidence, Fitness, Look, Pair, Scores
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
    limits, drift = contract.criteria, _exact(evidence.child.tone_drift)
    recall, generalize = _means(pair.child for pair in evidence.pairs)
    if evidence.look:
        yield _proof(evidence.look)
    if evidence.control:
        parent, score = _means(pair.control for pair in evidence.pairs if pair.control)
        best = Fraction(_exact(evidence.best_recall))
        origin = f"the control's {_short(score):g} plus {limits.generalize_gain}"
        yield _at_least("generalize", generalize, score + Fraction(limits.generalize_gain), origin)
        origin = f"the control's {_short(parent):g} less {limits.recall_drop}"
        yield _at_least("recall", recall, parent - Fraction(limits.recall_drop), origin)
        origin = f"the lineage's best, {_short(best):g}, less {limits.recall_best_drop}"
        yield _at_least("recall_best", recall, best - Fraction(limits.recall_best_drop), origin)
        yield _at_most("tone_drift", drift, limits.tone_drift, "the limit against the control")
        yield _at_most(
            "tone_drift_root", _exact(evidence.root_drift), limits.tone_drift_root, "the limit against the root"
        )
    yield _at_least("recall_floor", recall, limits.recall_floor, "the floor")
    yield _laws(contract, evidence.child.law_violations)


def _means(scores: Iterable[Scores]) -> tuple[Fraction, Fraction]:
    """One arm's recall and generalize: exact means of what was released of its runs."""
    runs = list(scores)
    recall = sum(_exact(run.recall) for run in runs)
    return Fraction(recall) / len(runs), Fraction(sum(_exact(run.generalize) for run in runs)) / len(runs)


def _laws(contract: Contract, count: int) -> tuple[Criterion, str]:
    return _at_most("law_violations", count, contract.criteria.law_violations, "the limit")


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


def _at_least(name: str, value: Fraction, bound: Fraction | Decimal, origin: str) -> tuple[Criterion, str]:
    return _compared(name, value, ">=", Fraction(bound), "is at least", "is below", origin)


def _at_most(name: str, value: Decimal | int, bound: Decimal | int, origin: str) -> tuple[Criterion, str]:
    return _compared(name, Fraction(value), "<=", Fraction(bound), "is at most", "is above", origin)


def _compared(
    name: str,
    value: Fraction,
    comparison: Literal[">=", "<="],
    bound: Fraction,
    holds: str,
    fails: str,
    origin: str,
) -> tuple[Criterion, str]:
    """A criterion with its numbers as they are, and its sentence with six digits of them."""
    passed = value >= bound if comparison == ">=" else value <= bound
    sentence = f"{_SUBJECTS[name]} {_short(value):g} {holds if passed else fails} {_short(bound):g}, {origin}"
    return Criterion(name, float(value), comparison, float(bound), passed), sentence


def _short(value: float | Fraction) -> float:
    """A number to six digits."""
    return float(f"{float(value):.6g}")


def _exact(value: float) -> Decimal:
    """The decimal that a released number was rounded to: its shortest text."""
    return Decimal(repr(value))


def _not_finite(evidence: Evidence) -> list[str]:
    numbers = {
        "best recall": evidence.best_recall,
        "tone drift from the root": evidence.root_drift,
        **({"the e-value": evidence.look.e_value} if evidence.look else {}),
        **_named("the child's", evidence.child),
        **_named("the control's", evidence.control),
    }
    for pair in evidence.pairs:
        numbers |= _named(f"in pair {pair.pair}, the child's", pair.child)
        numbers |= _named(f"in pair {pair.pair}, the control's", pair.control)
    return [name for name, value in numbers.items() if not math.isfinite(value)]


def _named(whose: str, scores: Fitness | Scores | None) -> dict[str, float]:
    return {f"{whose} {name.replace('_', ' ')}": value for name, value in (to_data(scores) or {}).items()}
