"""Eligibility: whether a cycle may begin, and whether its child may be taken to the holdout.

Takes the state, the contract, who asks and the time; gives findings with numbers, nothing when all is well. Exploration
needs a budget, a rest after a promotion and an orderly past; an attempt needs karma beside them, compute for all of its
pairs, and a domain that no other generation holds. A person who starts a cycle waits for nothing but the budget.
Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from aams.records import Finding
from safety.clock import seconds_between
from safety.contract import Contract
from safety.lifecycle import Cycle, is_accepted
from safety.lineage import Lineage, predecessor
from safety.state import State

SCHEDULE = "schedule"
"""Trigger of a cycle that nobody asked for: the only one that waits for cooldown and karma."""
DISORDERLY = ("abandoned", "expired")


def may_propose(
    state: State, contract: Contract, domain: str, trigger: str, needed_flops: int, now: str
) -> tuple[Finding, ...]:
    """What stands between IDLE and PROPOSE.

    Args:
        trigger: `SCHEDULE`, or who else asks.
        needed_flops: training FLOPs that the cycle may come to, its attempt included.
        now: UTC.
    """
    lineage = state.lineages.get(domain, Lineage())
    return tuple(_before_proposing(state, lineage, contract, domain, trigger, needed_flops, now))


def may_attempt(state: State, cycle: Cycle, contract: Contract, needed_flops: int, now: str) -> tuple[Finding, ...]:
    """What stands between a cycle's child that passed the screen and the holdout.

    Args:
        needed_flops: training FLOPs of all the pairs that it may come to: a hypothesis is not spent on fewer.
    """
    findings = list(within_month(state, contract, needed_flops, now))
    lineage, parent = state.lineages.get(cycle.domain, Lineage()), cycle.opened.parent
    if lineage.champion is None or lineage.champion.generation != parent:
        got = f"{lineage.champion.generation} is" if lineage.champion else "nothing is"
        findings.append(Finding("lineage", parent, "what it was tried against is champion no more", got, "explore on"))
    held = holder(state, cycle.domain)
    if held:
        name = held.recalled or held.generation
        advice = "approve it, or decline it"
        findings.append(Finding("lock", name, f"{name} waits for the second key", f"cycle {held.id}", advice))
    epoch, earned, needed = contract.promotion.epoch_attempts, karma(lineage, contract), contract.karma.attempt
    if lineage.attempts >= epoch:
        advice = "begin a new lineage on another corpus"
        got = f"{lineage.attempts} of {epoch}"
        findings.append(Finding("holdout", lineage.corpus, "this holdout has judged all it may", got, advice))
    if cycle.opened.trigger == SCHEDULE and earned < needed:
        advice = "explore on, or let a person start a cycle"
        findings.append(Finding("karma", "attempt", "an attempt needs more karma", f"{earned} of {needed}", advice))
    return tuple(findings)


def holder(state: State, domain: str) -> Cycle | None:
    """The cycle whose generation waits for the second key: while it does, its domain is explored and nothing more."""
    return next((one for one in state.open_cycles.values() if one.domain == domain and is_accepted(one)), None)


def is_explorable(state: State, domain: str) -> bool:
    """Whether trials may be run in a domain: nothing is open there, or nothing but what waits for the second key.

    Beside a root that waits nothing is, as there is no champion yet to be tried against.
    """
    own = [one for one in state.open_cycles.values() if one.domain == domain]
    return all(is_accepted(one) and one.opened.parent for one in own)


def karma(lineage: Lineage, contract: Contract) -> int:
    """Karma earned since the last promotion: for verified trials, and for gains that were predicted within the band."""
    misses = (abs(Decimal(repr(predicted)) - Decimal(repr(measured))) for predicted, measured in lineage.predictions)
    calibrated = sum(miss <= contract.karma.band for miss in misses)
    return lineage.trials * contract.karma.trial + calibrated * contract.karma.calibrated


def month_left(state: State, contract: Contract, now: str) -> int:
    """Training FLOPs of this month that nothing has used or reserved; negative if the contract was tightened since."""
    return contract.month.training_flops - state.month_flops.get(now[:7], 0)


def within_month(state: State, contract: Contract, needed_flops: int, now: str) -> tuple[Finding, ...]:
    """What stands between a training and its compute: that less is left of the month than it needs."""
    left = month_left(state, contract, now)
    if left >= needed_flops:
        return ()
    got = f"{left:,} training FLOPs are left, {needed_flops:,} are needed"
    advice = "wait for the next month, or let a person raise month.training_flops"
    return (Finding("month", now[:7], "the month's compute is spoken for", got, advice),)


def cooldown_left(lineage: Lineage, contract: Contract, trigger: str, now: str) -> int:
    """Seconds to wait after the last promotion; 0 when there is none, or it is long enough ago, or nobody has to."""
    rest = contract.cooldown.schedule_s if trigger == SCHEDULE else contract.cooldown.person_s
    return max(0, rest - seconds_between(lineage.champion.since, now)) if lineage.champion and rest else 0


def rechallenge_due(lineage: Lineage, contract: Contract, now: str) -> bool:
    """Whether a champion is to be trained against its predecessor again: neither it nor its last retest is young."""
    if lineage.champion is None or predecessor(lineage) is None:
        return False
    age = seconds_between(max(lineage.champion.since, lineage.retested), now)
    return age >= contract.promotion.rechallenge_days * 86_400


def overdue(cycle: Cycle, contract: Contract, now: str) -> int:
    """Seconds that a cycle has stayed in its phase beyond the contract's deadline; 0 when it is in time."""
    deadlines = {
        "PROPOSE": contract.deadlines.propose_s,
        "TRAIN": contract.deadlines.train_s,
        "VERIFY": contract.deadlines.verify_s,
    }
    deadline = deadlines.get(cycle.phase)
    return max(0, seconds_between(cycle.since, now) - deadline) if deadline else 0


def _before_proposing(
    state: State, lineage: Lineage, contract: Contract, domain: str, trigger: str, needed_flops: int, now: str
) -> Iterator[Finding]:
    yield from within_month(state, contract, needed_flops, now)
    rest = cooldown_left(lineage, contract, trigger, now)
    if rest:
        yield Finding("cooldown", domain, "the last promotion is too recent", f"{rest} s to wait", "wait")
    if trigger != SCHEDULE:
        return
    if contract.autonomy == "manual":
        advice = "run `python -m aams.run_cycle`, or let a person set autonomy"
        yield Finding("autonomy", domain, "a person starts every cycle", contract.autonomy, advice)
    if lineage.ended in DISORDERLY:
        advice = "see what happened with `aams log`, then let a person run a cycle"
        yield Finding("order", domain, "the last cycle did not end by a verdict", lineage.ended, advice)
    if not is_explorable(state, domain):
        waiting = [cycle.id for cycle in state.open_cycles.values() if cycle.domain == domain]
        advice = "bring its results, approve it, or close it with `aams abandon`"
        yield Finding("order", domain, "another cycle is open", ", ".join(waiting), advice)
