"""Gate: every child descends from the champion, which nobody has touched, differs from it, and is new to its line."""

from __future__ import annotations

from collections import Counter

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Proposal

ID = "lineage"
PROTECTS = "Every promotion continues the one recorded line; parents never change, and nothing is tried twice."
REMEDY = "Propose again from the present champion, with another seed."


def check(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Compare parent and children with HEAD, with each other, and with what was tried before."""
    findings = []
    if proposal.parent != proposal.head:
        got = f"HEAD names {_short(proposal.head)}"
        findings.append(Finding(ID, _short(proposal.parent), "the parent is not the champion", got, REMEDY))
    if proposal.damaged:
        findings.append(
            Finding(ID, _short(proposal.parent), "the parent's archive is not as it was", proposal.damaged, REMEDY)
        )
    for child, times in Counter(proposal.children).items():
        subject = _short(child)
        if times > 1:
            findings.append(Finding(ID, subject, "the same child is proposed more than once", f"{times} times", REMEDY))
        if child == proposal.parent:
            findings.append(Finding(ID, subject, "the child is functionally its parent", "an equal spec id", REMEDY))
        elif child in proposal.tried:
            findings.append(Finding(ID, subject, "this lineage has tried the child before", "an equal spec id", REMEDY))
    return tuple(findings)


def _short(spec: str) -> str:
    return spec[:12] or "no spec"
