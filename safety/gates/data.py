"""Gate: a bundle carries the corpus that is active in its domain, and the contract allows it. Deny by default."""

from __future__ import annotations

from fnmatch import fnmatchcase

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Proposal

ID = "data"
PROTECTS = "Nothing is trained on data that people did not allow, and no lineage changes its data unnoticed."
REMEDY = "Name an allowed corpus as `active` in the domain's corpora.yaml; a person may add one to the contract."


def check(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Check the corpus against the contract's list and the domain's choice."""
    findings = []
    allowed = contract.data.allowed.get(proposal.domain, ())
    if proposal.corpus not in allowed:
        got = f"allowed in {proposal.domain}: {', '.join(allowed) or 'none'}"
        findings.append(Finding(ID, proposal.corpus, "the contract does not allow this corpus", got, REMEDY))
    if proposal.corpus != proposal.active_corpus:
        got = f"active is {proposal.active_corpus}"
        findings.append(Finding(ID, proposal.corpus, "this corpus is not the active one of the domain", got, REMEDY))
    for pattern in contract.data.forbidden:
        if fnmatchcase(proposal.source.lower(), pattern.lower()):
            got = f"{proposal.source} is like {pattern}"
            findings.append(Finding(ID, proposal.corpus, "the contract forbids this source", got, REMEDY))
    return tuple(findings)
