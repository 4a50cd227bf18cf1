"""Endorsement: whether every promotion in the ledger was signed by two keys that were allowed to, and said what it did.

Takes the ledger and the allowed signers, checks each signature again at the time of its entry. What a signature says is
compared with what the ledger holds: generation, manifest, results, champion and tips; and with what was signed before:
it is for the same repository, and no key that was revoked then counts again. Never trusts a recorded name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aams.canonical import digest
from aams.errors import AamsError, LedgerError, Problem, failure
from aams.records import Entry
from safety.events import Approved, Frozen, Recalled, Signed, Trained, Verdict, entry_name, facts_of
from safety.ledger import Recorded
from safety.signatures import UNVERSIONED, Signer, Statement, check, check_distinct
from safety.signers import ALLOWED_SIGNERS, REVOKED_KEYS, Role, revoked_fingerprints, revoked_path


@dataclass(slots=True)
class _Case:
    """What one cycle has said under a key so far."""

    proposals: list[tuple[Entry, Signed | None, str, str]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    decided: str = ""


def check_promotions(root: Path, ledger: Iterable[Recorded], cycle: str = "") -> int:
    """Check both keys of every promotion and rollback.

    Args:
        cycle: whose keys alone to check, of one that is to be promoted: what was promoted before is taken as it is.

    Returns:
        How many promotions there are.

    Raises:
        LedgerError: naming the first entry whose signature does not hold.
        AamsError: a file of keys is broken, or ssh-keygen can't be asked.
    """
    cases: dict[str, _Case] = {}
    heads: dict[str, str] = {}
    repository, count = "", 0
    revoked = revoked_fingerprints(revoked_path(root))
    for entry, entry_digest in ledger:
        facts, case, head = facts_of(entry), cases.setdefault(entry.cycle, _Case()), heads.get(entry.domain, "")
        match facts:
            case Frozen() if facts.stage != "trial":
                case.proposals.append((entry, facts.proposer, facts.manifest, head))
            case Verdict():
                case.decided = entry_digest
            case Recalled():
                case.decided = entry_digest
                manifest = recall_digest(facts.generation, facts.reason)
                case.proposals.append((entry, facts.proposer, manifest, head))
            case Trained() if facts.stage != "trial":
                case.results.append(facts.results)
            case Approved():
                if cycle in ("", entry.cycle):
                    _check_keys(root, entry, facts, case, head)
                with _naming(entry):
                    proposed = [one.statement for _, one, _, _ in case.proposals if one]
                    repository = check_in_line([*proposed, facts.approver.statement], revoked, repository)
                heads[entry.domain] = f"{facts.head_after} {case.decided}"
                count += 1
    return count


def promoted(ledger: Iterable[Recorded]) -> list[Statement]:
    """What the second key said at each promotion and rollback so far."""
    said = [facts_of(entry) for entry, _ in ledger if entry.event == "approved"]
    return [facts.approver.statement for facts in said if isinstance(facts, Approved)]


def check_in_line(statements: Iterable[Statement], revoked: Collection[str], repository: str = "") -> str:
    """See that statements, in the order of their promotions, are for one repository, and un-revoke no key.

    A lab that began outside of Git gets a name when it is put under Git, and keeps it: one that has a name never goes
    back, so a statement for a nameless lab counts in no repository that began with a name.

    Args:
        revoked: fingerprints of the keys that are revoked now.
        repository: what those before were for; "" when there are none.

    Returns:
        What the last one is for.

    Raises:
        AamsError: naming the first that is for another repository, or knows a key as revoked that is not any more.
    """
    for statement in statements:
        lost = sorted(set(statement.revoked).difference(revoked))
        if lost:
            raise failure(f"{REVOKED_KEYS} lacks a key that was revoked", ", ".join(lost), "restore it from Git")
        if repository not in ("", UNVERSIONED, statement.repository):
            got = f"{statement.repository}, and {repository} before"
            advice = "sign in a clone with the whole history; decline and propose again what was proposed elsewhere"
            raise failure("is signed for another repository than what was promoted before", got, advice)
        repository = statement.repository
    return repository


def recall_digest(generation: str, reason: str) -> str:
    """What stands for a manifest in the statements of a rollback."""
    return digest({"recall": generation, "reason": reason})


def _check_keys(root: Path, entry: Entry, facts: Approved, case: _Case, head: str) -> None:
    """Hold both keys' signatures of one promotion against what they must have said."""
    if not case.proposals:
        raise _refusal(entry, "was promoted and nobody proposed it", facts.generation)
    results, manifest = digest(case.results) if case.results else "", case.proposals[-1][2]
    signers = [
        _check_one(root, proposed, signed, "propose", facts.generation, stated, "", at_head)
        for proposed, signed, stated, at_head in case.proposals
    ]
    second = _check_one(root, entry, facts.approver, "verdict", facts.generation, manifest, results, head)
    with _naming(entry):
        for first in signers:
            check_distinct(first, second)


def _check_one(
    root: Path, entry: Entry, signed: Signed | None, role: Role, generation: str, manifest: str, results: str, head: str
) -> Signer:
    """Hold one signature against what it must have said."""
    if signed is None:
        raise _refusal(entry, "was promoted and nobody proposed it under a key", generation)
    statement = signed.statement
    wanted = {
        "role": role,
        "domain": entry.domain,
        "generation": generation,
        "manifest": manifest,
        "results": results,
        "parent_head": head,
    }
    for name, value in wanted.items():
        if getattr(statement, name) != value:
            raise _refusal(entry, f"is signed with another {name}", getattr(statement, name) or "none")
    if not statement.tips or not set(statement.tips) <= set(entry.follows):  # no such entry is a ledger's first
        raise _refusal(entry, "is signed on top of another ledger", ", ".join(statement.tips)[:130] or "none")
    with _naming(entry):
        signer = check(statement, signed.signature, root / ALLOWED_SIGNERS, entry.time, revoked_path(root))
    if (signer.principal, signer.fingerprint) != (signed.principal, signed.fingerprint):
        raise _refusal(entry, "names another signer than its signature", signed.principal)
    return signer


@contextmanager
def _naming(entry: Entry) -> Iterator[None]:
    """Name the entry where an error is about its signature."""
    try:
        yield
    except AamsError as error:
        first = error.problems[0]
        raise _refusal(entry, first.what, first.got, first.advice) from None


def _refusal(entry: Entry, what: str, got: str, advice: str = "restore logs/cycles from Git") -> LedgerError:
    return LedgerError(Problem(what, got, advice, entry_name(entry)))
