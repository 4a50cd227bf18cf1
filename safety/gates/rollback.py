"""Gate: HEAD moves only while the champion it leaves, and the one it goes to, lie archived as they were decided."""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Promotion

ID = "rollback"
PROTECTS = "Whatever is promoted, the champion before it is still there, unchanged, and can be gone back to."
REMEDY = "Restore the generation's directory from Git, then approve again."


def check(promotion: Promotion, contract: Contract) -> tuple[Finding, ...]:
    """Report every archived generation that is not as the ledger has it."""
    return tuple(
        Finding(ID, generation, "its archive is not what the ledger names", problem, REMEDY)
        for generation, problem in promotion.damaged
    )
