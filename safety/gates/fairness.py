"""Gate: every run takes the compute it is given, as nearly as whole steps allow."""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Proposal

ID = "fairness"
PROTECTS = "Child and control are given equal compute, so that no gain is bought with more of it."
REMEDY = "Make a training step smaller: a smaller batch, or a smaller architecture."

TOLERANCE_PERCENT = 5


def check(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Compare what the planned steps take with the domain's compute; whole steps may leave a little over."""
    findings = []
    for run in proposal.runs:
        taken = run.steps * proposal.costs[run.spec].step_flops
        if 100 * abs(proposal.compute_flops - taken) > TOLERANCE_PERCENT * proposal.compute_flops:
            got = f"{taken:,} of {proposal.compute_flops:,} FLOPs in {run.steps} steps"
            findings.append(Finding(ID, run.name, "whole training steps can't take this compute", got, REMEDY))
    return tuple(findings)
