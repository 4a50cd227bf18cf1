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
    return check_corpus(proposal.domain, proposal.corpus, proposal.source, proposal.active_corpus, contract)


def check_corpus(domain: str, corpus: str, source: str, active: str, contract: Contract) -> tuple[Finding, ...]:
    """The same for who has no proposal but what one came to: the arbiter, and whoever gives the second key."""
    findings = []
    allowed = contract.data.allowed.get(domain, ())
    if corpus not in allowed:
        got = f"allowed in {domain}: {', '.join(allowed) or 'none'}"
        findings.append(Finding(ID, corpus, "the contract does not allow this corpus", got, REMEDY))
    if corpus != active:
        got = f"active is {active}"
        findings.append(Finding(ID, corpus, "this corpus is not the active one of the domain", got, REMEDY))
    for pattern in contract.data.forbidden:
        if fnmatchcase(source.lower(), pattern.lower()):
            findings.append(
                Finding(ID, corpus, "the contract forbids this source", f"{source} is like {pattern}", REMEDY)
            )
    return tuple(findings)
