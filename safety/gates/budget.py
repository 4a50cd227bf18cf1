"""Gate: a generation stays inside the contract's budget, and inside what is left of the month's compute.

Takes the cost model's numbers, so it answers before anything is compiled. Wall time can't be known beforehand: the
trainer stops a bundle that passes it, and the arbiter adds up those of a generation.
"""

from __future__ import annotations

from aams.records import Finding
from safety.contract import Contract
from safety.gates.base import Proposal

ID = "budget"
PROTECTS = "No bundle takes more compute, memory or disk than people agreed to."
REMEDY = "Make the architecture or its batch smaller, or plan fewer steps or runs."

WEIGHT_BYTES = 4


def check(proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
    """Compare the estimated items, steps, memory and disk with the contract's limits."""
    limits = contract.budget
    findings = [
        _finding(run.name, "takes more training steps than the contract allows", run.steps, limits.steps)
        for run in proposal.runs
        if run.steps > limits.steps
    ]
    planned = [(run.steps, proposal.costs[run.spec]) for run in proposal.runs]
    items = sum(steps * cost.items * cost.item_tokens for steps, cost in planned)
    compute = sum(steps * cost.step_flops for steps, cost in planned)
    heaviest = sorted((cost.activation_bytes + cost.optimizer_bytes for _, cost in planned), reverse=True)
    totals = (
        ("takes more compute than is left of the month", compute, proposal.month_flops_left),
        ("processes more tokens or samples than the contract allows", items, limits.items),
        ("needs more memory than the contract allows", sum(heaviest[: proposal.parallel_count]), limits.memory_bytes),
        (
            "returns more bytes than the contract allows",
            sum(WEIGHT_BYTES * cost.parameters for _, cost in planned),
            limits.disk_bytes,
        ),
    )
    findings += [_finding("bundle", what, got, limit) for what, got, limit in totals if got > limit]
    return tuple(findings)


def _finding(subject: str, what: str, got: int, limit: int) -> Finding:
    return Finding(ID, subject, what, f"{got:,}, the limit is {limit:,}", REMEDY)
