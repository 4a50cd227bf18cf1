"""Gate: what gets HEAD was proposed under one key and approved under another."""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Promotion

ID = "two-key"
PROTECTS = "No single key moves HEAD: who proposes a generation can't approve it."
REMEDY = "Let the holder of another verdict key approve it: `aams approve`; `aams keys list` shows who may."


def check(promotion: Promotion, contract: Contract) -> tuple[Finding, ...]:
    """Compare the keys that signed the proposals with the one that approves."""
    findings = []
    if not promotion.proposers or not all(promotion.proposers):
        what = "it was proposed without a key"
        findings.append(Finding(ID, promotion.generation, what, "no signature", REMEDY))
    if not promotion.approver:
        findings.append(Finding(ID, promotion.generation, "nobody approved it", "no signature", REMEDY))
    elif promotion.approver in promotion.proposers:
        what = "the key that proposed it can't be its second key"
        findings.append(Finding(ID, promotion.generation, what, promotion.approver, REMEDY))
    return tuple(findings)
