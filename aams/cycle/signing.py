"""The two keys of a cycle: what the proposer signs when a manifest is frozen, and what the approver signs at its end.

Takes the lab and what is to be said, gives signed statements that were checked as anybody would check them. A lab
without a key, or a machine without `ssh-keygen`, signs nothing: it can search, and promotes nothing.
"""

from __future__ import annotations

from aams import git
from aams.cycle.lab import Lab
from safety.clock import later
from safety.contract import Contract
from safety.endorsement import check_in_line, promoted
from safety.events import Signed
from safety.keyfiles import local_key
from safety.ledger import tips
from safety.lineage import Champion
from safety.signatures import UNVERSIONED, Statement, check, sign
from safety.signers import ALLOWED_SIGNERS, Role, revoked_fingerprints, revoked_path
from safety.sshkeygen import have_ssh_keygen


def can_sign(lab: Lab, role: Role) -> bool:
    """Whether this machine holds a key of a role and can use it."""
    return have_ssh_keygen() and local_key(lab.root, role) is not None


def signed(
    lab: Lab, role: Role, cycle: str, domain: str, generation: str, manifest: str, results: str, at: str
) -> Signed:
    """Sign a statement with this machine's key of a role.

    Args:
        cycle: whose next entry the statement is for.
        generation: "" for trials.
        manifest: digest of the manifest's inputs.
        results: digest of what came back; "" before there is any.
        at: the time of that entry, from `Lab.time`, which the statement counts from and is checked at.

    Raises:
        AamsError: there is no such key here, nobody allowed it to sign, or what was promoted before was signed for
            another repository or knew a key as revoked that is not any more.
    """
    revoked, line = revoked_path(lab.root), lab.line_of(cycle)
    statement = Statement(
        schema_version=1,
        repository=repository(lab),
        role=role,
        domain=domain,
        generation=generation,
        parent_head=head_of(lab.lineage(domain).champion),
        manifest=manifest,
        results=results,
        tips=tips(line),
        expires=expiry(lab.contract, at),
        revoked=tuple(sorted(revoked_fingerprints(revoked))),
    )
    check_in_line([*promoted(line), statement], statement.revoked)
    key = local_key(lab.root, role)
    signature = sign(statement, key or lab.root / "no key")
    signer = check(statement, signature, lab.root / ALLOWED_SIGNERS, at, revoked)
    return Signed(statement, signature, signer.principal, signer.fingerprint)


def expiry(contract: Contract, now: str) -> str:
    """When a bundle's signature stops counting: after its training and its verification must have ended."""
    return later(now, contract.deadlines.train_s + contract.deadlines.verify_s)


def repository(lab: Lab) -> str:
    """A name of this repository that every clone of it shares: its first commit."""
    commit = git.first_commit(lab.root)
    return f"git:{commit}" if commit else UNVERSIONED


def head_of(champion: Champion | None) -> str:
    """A champion as statements name it: generation and entry; "" for none."""
    return f"{champion.generation} {champion.entry}" if champion else ""
