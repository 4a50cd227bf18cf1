"""What a schedule does without being asked: end what is overdue, and begin a cycle when nothing stands against it."""

from __future__ import annotations

from aams.canonical import digest
from aams.cycle.lab import Ended, Lab, Request
from aams.cycle.proposal import needed_flops
from aams.cycle.signing import can_sign
from aams.cycle.verdict import break_off
from aams.records import Finding
from safety.clock import utc_now
from safety.eligibility import SCHEDULE, may_propose, overdue, rechallenge_due


def end_overdue(lab: Lab, domain: str) -> list[Ended]:
    """Reject every cycle that stayed in a state beyond the contract's deadline, with an archive if it is an attempt."""
    ended = []
    now = utc_now()
    for cycle in [cycle for cycle in lab.state.open_cycles.values() if cycle.domain == domain]:
        late = overdue(cycle, lab.contract, now)
        if late:
            reason = f"it stayed in {cycle.phase} {late:,} s beyond the deadline"
            ended.append(break_off(lab, cycle, "expired", reason))
    return ended


def due(lab: Lab, domain: str) -> bool:
    """Whether the champion is to be trained against its predecessor again, and nothing stands in the way."""
    return _is_free(lab, domain) and rechallenge_due(lab.lineage(domain), lab.contract, utc_now())


def lost(lab: Lab, domain: str) -> bool:
    """Whether the champion lost its re-challenge, and its predecessor can be proposed."""
    return _is_free(lab, domain) and lab.lineage(domain).outdone


def _is_free(lab: Lab, domain: str) -> bool:
    is_open = any(cycle.domain == domain for cycle in lab.state.open_cycles.values())
    return not is_open and can_sign(lab, "propose")


def scheduled(lab: Lab, domain: str, children: int) -> tuple[Request, tuple[Finding, ...]]:
    """The cycle that a schedule would run next, and what stands against it; its seed comes from what is on record."""
    number = sum(entry.event == "opened" and entry.domain == domain for entry, _ in lab.recorded)
    seed = int(digest([domain, "schedule", number])[:8], 16) % 2**31
    request = Request(domain, seed, children, trigger=SCHEDULE)
    missing = may_propose(lab.state, lab.contract, domain, SCHEDULE, needed_flops(lab, request), utc_now())
    lineage = lab.lineage(domain)
    if lineage.outdone or rechallenge_due(lineage, lab.contract, utc_now()):
        what = "its champion is to be tested again first, or to go"
        advice = "run `aams rechallenge`, or the workflow of that name"
        missing += (Finding("rechallenge", domain, what, lineage.retested or "never tested", advice),)
    if not can_sign(lab, "propose"):
        advice = "run `aams keys init`"
        missing += (Finding("keys", domain, "nobody here can sign a proposal", "no propose key", advice),)
    return request, missing
