"""How a lab stands, and why a generation was decided so: what people ask before they believe.

Takes the ledger and the contract, gives numbers and plain sentences. Reads only; equal ledgers give equal answers
but for the time that has passed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aams.canonical import SHA256
from aams.errors import failure
from evaluator import statistics
from evaluator.replay import Replay, replay
from safety.clock import utc_now
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.eligibility import SCHEDULE, cooldown_left, karma, month_left
from safety.events import Approved, Closed, Facts, Proposed, Revealed, Trained, Verdict, facts_of
from safety.ledger import Recorded, read_ledger
from safety.lineage import Generation, Lineage
from safety.state import State, fold

LAST = 5
F = TypeVar("F", bound=Facts)


@dataclass(frozen=True, slots=True)
class Placebos:
    """Placebos that were revealed, those the arbiter had accepted, and the share's exact 95 % interval."""

    revealed: int
    promoted: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class DomainStanding:
    """One domain.

    Attributes:
        state: the lifecycle's, with the cycle that is in it.
        cooldown_s, karma: what a schedule must still wait for, and has earned.
        attempts, discoveries: of the present line.
        alpha_spent: sum of the levels of those attempts that were looked at.
        evidence_needed: e-value that proves the next attempt's gain.
        decisions: the last ones, newest first.
    """

    domain: str
    state: str
    champion: str
    cooldown_s: int
    karma: int
    karma_needed: int
    attempts: int
    discoveries: int
    alpha_spent: float
    evidence_needed: float
    placebos: Placebos
    replay: Replay
    decisions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """The whole lab; compute in training FLOPs of the calendar month, UTC."""

    month: str
    month_flops: int
    month_left: int
    alpha: float
    domains: tuple[DomainStanding, ...]


def standing_of(root: Path) -> Standing:
    """How a lab stands now.

    Raises:
        AamsError: it is no lab, or its ledger is broken.
    """
    contract, now = load_contract(root / CONTRACT_PATH), utc_now()
    ledger = read_ledger(root)
    state = fold(ledger)
    return Standing(
        month=now[:7],
        month_flops=contract.month.training_flops,
        month_left=month_left(state, contract, now),
        alpha=float(contract.promotion.alpha),
        domains=tuple(_domain(name, ledger, state, contract, now) for name in sorted(contract.data.allowed)),
    )


def _domain(name: str, ledger: Iterable[Recorded], state: State, contract: Contract, now: str) -> DomainStanding:
    lineage = state.lineages.get(name, Lineage())
    phases = [f"{cycle.phase} ({cycle.id})" for cycle in state.open_cycles.values() if cycle.domain == name]
    own = [recorded for recorded in ledger if recorded.entry.domain == name]
    needed = 1 / statistics.level(lineage.attempts + 1, lineage.discoveries, contract.promotion.alpha)
    hits, trials = lineage.false_promotions, lineage.placebos
    low, high = statistics.binomial_interval(hits, trials) if trials else (0.0, 1.0)
    closed = _facts(own, Closed)
    return DomainStanding(
        domain=name,
        state=", ".join(phases) or "IDLE",
        champion=lineage.champion.generation if lineage.champion else "",
        cooldown_s=cooldown_left(lineage, contract, SCHEDULE, now),
        karma=karma(lineage, contract),
        karma_needed=contract.karma.attempt,
        attempts=lineage.attempts,
        discoveries=lineage.discoveries,
        alpha_spent=lineage.alpha_spent,
        evidence_needed=needed,
        placebos=Placebos(trials, hits, low, high),
        replay=replay(_controls(own), contract.promotion),
        decisions=tuple(f"{facts.outcome}: {facts.reason}" for facts in closed[: -LAST - 1 : -1]),
    )


def _facts(own: Iterable[Recorded], kind: type[F]) -> list[F]:
    return [facts for facts in (facts_of(entry) for entry, _ in own) if isinstance(facts, kind)]


def _controls(own: Iterable[Recorded]) -> list[list[float]]:
    """Validation accuracies of finished control runs, by spec: they differ by their seeds alone."""
    groups: dict[str, list[float]] = defaultdict(list)
    for trained in _facts(own, Trained):
        for run in trained.runs:
            if run.arm == "control" and run.accuracy is not None and SHA256.fullmatch(run.spec):
                groups[run.spec].append(run.accuracy)
    return [groups[spec] for spec in sorted(groups)]


def explain(root: Path, domain: str, name: str) -> tuple[str, ...]:
    """Why a generation was accepted or rejected, in plain sentences with numbers.

    Raises:
        AamsError: there is no such generation.
    """
    ledger = read_ledger(root)
    generations = fold(ledger).lineages.get(domain, Lineage()).generations
    found = next((one for one in generations if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in generations) or "none yet"
        raise failure(f"no such generation in {domain}", name, f"there are: {known}")
    return tuple(_sentences(domain, found, [recorded for recorded in ledger if recorded.entry.cycle == found.cycle]))


def _sentences(domain: str, generation: Generation, own: list[Recorded]) -> Iterable[str]:
    origin = f"tries to improve on {generation.parent}" if generation.parent else "begins a lineage"
    yield f"{domain}/{generation.name} {origin}; it is {generation.status}."
    verdict = next(iter(_facts(own, Verdict)), None)
    if verdict is None:
        yield "The arbiter has not decided yet."
        return
    for proposed in _facts(own, Proposed):
        for child in proposed.children:
            if child.spec == verdict.spec:
                predicted = child.predicted_effect
                yield f"What changed: {child.rationale} (predicted effect {predicted:+.3f})."
    if verdict.look:
        look = verdict.look
        yield (
            f"Over {look.pairs} pairs of trainings with fresh seeds it scored {look.gain:+.4f} on the holdout against "
            f"its parent, shrunken; the 95 % interval is {look.low:+.4f} to {look.high:+.4f}."
        )
        yield (
            f"Attempt {look.attempt} of this lineage needs an e-value of {1 / look.level:,.0f}, so that its false "
            f"promotions stay within the contract for life; the evidence came to {look.e_value:,.6g}."
        )
    yield f"The arbiter {verdict.outcome} it:"
    yield from (f"- {reason}." for reason in verdict.reasons)
    for revealed in _facts(own, Revealed):
        if revealed.placebo:
            yield "It was a placebo: the champion in disguise, trained to see whether the arbiter can be fooled."
    for approved in _facts(own, Approved):
        approver = approved.approver
        moved = f"from {approved.head_before or 'nothing'} to {approved.head_after}"
        yield f"The second key is {approver.principal} ({approver.fingerprint}); HEAD went {moved}."
    for closed in _facts(own, Closed):
        yield f"The cycle closed as {closed.outcome}: {closed.reason}."
