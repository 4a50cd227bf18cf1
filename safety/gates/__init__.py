"""The gates every bundle passes before it is frozen. Adding one is adding one file and its line here."""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates import budget, data, fairness, lineage
from safety.gates.base import Gate, Proposal

GATES: dict[str, Gate] = {
    budget.ID: budget,
    data.ID: data,
    fairness.ID: fairness,
    lineage.ID: lineage,
}


def check_gates(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Ask every gate; an empty answer means that the proposal may be frozen."""
    return tuple(finding for gate in GATES.values() for finding in gate.check(proposal, contract))
