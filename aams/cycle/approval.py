"""The second key: a generation that the arbiter accepted becomes champion when it is signed, and not before.

Takes the lab and a generation, gives how its cycle ended. Also opens what was sealed: a placebo is never approved.
Every signature is checked again before HEAD moves.
"""

from __future__ import annotations

from aams.canonical import digest
from aams.cycle.lab import Ended, Lab
from aams.cycle.planned import check_archived
from aams.cycle.sealed import sealed_child
from aams.cycle.signing import can_sign, signed
from aams.errors import AamsError, Problem, failure
from domains import find_corpus
from evaluator.recount import recount
from safety.contract import CONTRACT_PATH
from safety.endorsement import check_promotions
from safety.events import Approved, Frozen, Recalled, Reviewed, Signed, Trained, Verdict, facts_of
from safety.gates import check_promotion
from safety.gates.base import Promotion
from safety.ledger import recorded_as
from safety.lifecycle import Cycle
from safety.signatures import check
from safety.signers import ALLOWED_SIGNERS, revoked_path


def conclude(lab: Lab, cycle: Cycle) -> Ended:
    """Close a cycle that has its verdict, or leave it waiting for the second key.

    The reason is every criterion that failed, or the first that held.
    """
    cycle = reveal(lab, cycle)
    verdict = next(facts for facts in lab.facts(cycle.id) if isinstance(facts, Verdict))
    reason = "; ".join(verdict.reasons if verdict.outcome == "rejected" else verdict.reasons[:1])
    if cycle.placebo:
        return lab.end(cycle.id, "placebo", f"the child was the champion in disguise; {reason}")
    if verdict.outcome == "rejected":
        return lab.end(cycle.id, "rejected", reason)
    if cycle.event != "approved" and not _approves(lab):
        lab.settle()
        why = "it waits for the second key" if can_sign(lab, "verdict") else "no key here can sign it"
        advice = f"`aams approve {cycle.generation} --domain {cycle.domain}`"
        return lab.ended(cycle.id, "waiting", f"{reason}; {why}: {advice}")
    if cycle.event != "approved":
        _sign(lab, cycle)
    return lab.end(cycle.id, "accepted", reason)


def reveal(lab: Lab, cycle: Cycle) -> Cycle:
    """Put on record what was sealed, after the verdict and before anything else.

    Raises:
        SealError: what it was sealed with is gone; nothing is recorded.
    """
    if cycle.verdict and cycle.sealed and cycle.placebo is None:
        interface = find_corpus(cycle.domain, cycle.opened.corpus).interface
        lab.record(cycle.id, cycle.domain, sealed_child(lab, cycle, interface).revealed(cycle.generation))
    return lab.state.open_cycles[cycle.id]


def approve(lab: Lab, domain: str, generation: str, review: Reviewed | None = None) -> Ended:
    """Sign a generation, or a rollback, that waits for its second key.

    Args:
        review: whose review the second key stands for, where a merge was the approval.

    Raises:
        AamsError: it does not wait, a signature does not hold, or what was tested has changed; nothing is recorded.
    """
    cycle = _waiting(lab, domain, generation)
    if cycle.phase != "COMMIT":  # else a killed command signed it, and got no further
        _sign(lab, cycle, review)
    return lab.end(cycle.id, "rolled-back" if cycle.recalled else "accepted", "approved by the second key")


def decline(lab: Lab, domain: str, generation: str, reason: str) -> Ended:
    """Close a generation, or a rollback, that waits for its second key without giving it.

    Raises:
        AamsError: it does not wait, or has its second key already.
    """
    cycle = _waiting(lab, domain, generation)
    if cycle.phase == "COMMIT":
        raise failure("has its second key already", generation, f"`aams approve {generation}` ends its cycle")
    return lab.end(cycle.id, "declined", reason)


def _approves(lab: Lab) -> bool:
    wanted = lab.contract.autonomy == "autonomous" if lab.approves is None else lab.approves
    return wanted and can_sign(lab, "verdict")


def _waiting(lab: Lab, domain: str, generation: str) -> Cycle:
    waiting = {
        cycle.recalled or cycle.generation: cycle
        for cycle in lab.state.open_cycles.values()
        if cycle.domain == domain and (cycle.recalled or (cycle.verdict == "accepted" and not cycle.placebo))
    }
    if generation not in waiting:
        raise failure(
            f"does not wait for approval in {domain}", generation, f"waiting are: {', '.join(waiting) or 'none'}"
        )
    return reveal(lab, waiting[generation])


def _sign(lab: Lab, cycle: Cycle, review: Reviewed | None = None) -> None:
    """Recount, check the first key's signatures, sign as the second, ask the gates, and record it: HEAD moves here.

    What `aams verify` would refuse is never written.
    """
    generation = cycle.recalled or cycle.generation
    if not cycle.recalled:
        check_archived(lab, cycle)
    if decisions_elsewhere(lab, cycle):
        advice = f"restore {CONTRACT_PATH}, or `aams decline {generation} --domain {cycle.domain}`"
        raise failure("was decided under another contract than the one in force", generation, advice, file=cycle.id)
    champion = lab.lineage(cycle.domain).champion
    before = champion.generation if champion else ""
    proposals, at = _proposals(lab, cycle), lab.time(cycle.id)
    proposers = tuple(_proposer(lab, one, proposed, at) if one else "" for proposed, one in proposals)
    approver = None
    if all(proposers):
        manifest = next(one.statement.manifest for _, one in reversed(proposals) if one)
        results = results_digest(lab, cycle.id)
        approver = signed(lab, "verdict", cycle.id, cycle.domain, generation, manifest, results, at)
    damaged = {name: lab.damage(cycle.domain, name) for name in (generation, before) if name}
    promotion = Promotion(
        generation=f"{cycle.domain}/{generation}",
        proposers=proposers,
        approver=approver.fingerprint if approver else "",
        damaged=tuple((name, problem) for name, problem in damaged.items() if problem),
    )
    findings = check_promotion(promotion, lab.contract)
    if findings or approver is None:
        problems = (Problem(f"gate {one.gate}: {one.what}", one.got, one.advice, path=one.subject) for one in findings)
        raise AamsError(*problems)
    approved = Approved(generation, approver, before, generation, review)
    entry = recorded_as(lab.entry(cycle.id, cycle.domain, approved, at))
    check_promotions(lab.root, [*lab.line_of(cycle.id), entry], cycle.id)
    lab.record(cycle.id, cycle.domain, approved, at)


def decisions_elsewhere(lab: Lab, cycle: Cycle) -> int:
    """Compute again what a cycle decided; how much of it was decided under another contract than the one in force.

    Raises:
        LedgerError: something comes out otherwise than it is recorded.
    """
    return recount(lab.recorded, {lab.contract.digest: lab.contract}, cycle.id).elsewhere


def _proposer(lab: Lab, proposal: Signed, proposed: str, at: str) -> str:
    """Fingerprint of the key that signed a proposal, checked again: a key that was replaced since counted then.

    Raises:
        AamsError: the signature does not hold any more, or expired before its approval.
    """
    if proposal.statement.expires < at:
        raise failure(f"the proposal expired before {at}", proposal.statement.expires, "decline it and propose again")
    revoked = revoked_path(lab.root)
    return check(proposal.statement, proposal.signature, lab.root / ALLOWED_SIGNERS, proposed, revoked).fingerprint


def _proposals(lab: Lab, cycle: Cycle) -> list[tuple[str, Signed | None]]:
    """What the first key signed for the attempt, or for the rollback, and when."""
    said = [(entry.time, facts_of(entry)) for entry, _ in lab.recorded if entry.cycle == cycle.id]
    return [
        (time, one.proposer)
        for time, one in said
        if isinstance(one, Recalled) or (isinstance(one, Frozen) and one.stage != "trial")
    ]


def results_digest(lab: Lab, cycle: str) -> str:
    """Digest of all results that an attempt's verdict rests on; "" for a rollback, which has none."""
    results = [one.results for one in lab.facts(cycle) if isinstance(one, Trained) and one.stage != "trial"]
    return digest(results) if results else ""
