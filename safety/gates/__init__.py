"""The gates: those every bundle passes before it is frozen, and those a generation passes before HEAD moves to it.

Adding one is adding one file and its line here.
"""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates import budget, data, fairness, lineage, rollback, two_key
from safety.gates.base import Gate, Promotion, Proposal

GATES: dict[str, Gate[Proposal]] = {
    budget.ID: budget,
    data.ID: data,
    fairness.ID: fairness,
    lineage.ID: lineage,
}
PROMOTION_GATES: dict[str, Gate[Promotion]] = {
    two_key.ID: two_key,
    rollback.ID: rollback,
}


def check_gates(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Ask every gate; an empty answer means that the proposal may be frozen."""
    return tuple(finding for gate in GATES.values() for finding in gate.check(proposal, contract))


def check_promotion(promotion: Promotion, contract: Contract) -> tuple[Finding, ...]:
    """Ask every gate before HEAD; an empty answer means that it may move."""
    return tuple(finding for gate in PROMOTION_GATES.values() for finding in gate.check(promotion, contract))
