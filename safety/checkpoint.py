"""Checkpoints: a few lines kept elsewhere, against which a ledger can't be rewritten unnoticed.

Takes the ordered ledger and the keys that are revoked, gives its size, its tips, the root of a Merkle tree over its
entries (RFC 6962, section 2.1, leaves are the entries' digests), and those keys. A ledger that holds a checkpoint's
tips holds all that they follow, so more may have been added to it, and nothing changed or removed. Never writes a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from aams.errors import LedgerError, Problem
from safety.ledger import Recorded, tips, up_to
from safety.signers import REVOKED_KEYS

EMPTY_ROOT = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A ledger's fingerprint.

    Attributes:
        time: of its newest entry, UTC; "" for an empty one.
        revoked: fingerprints of the keys that were revoked by then, ascending.
    """

    schema_version: int
    entries: int
    root: str
    tips: tuple[str, ...]
    time: str
    revoked: tuple[str, ...]


def take(ledger: Sequence[Recorded], revoked: Iterable[str]) -> Checkpoint:
    """Take a checkpoint of a ledger and of the keys that are revoked."""
    newest = max((recorded.entry.time for recorded in ledger), default="")
    root = merkle_root([recorded.digest for recorded in ledger])
    return Checkpoint(1, len(ledger), root, tips(ledger), newest, tuple(sorted(revoked)))


def check_against(ledger: Sequence[Recorded], revoked: Collection[str], known: Checkpoint) -> None:
    """See that a ledger, and the list of revoked keys, only grew since a checkpoint was taken.

    Raises:
        LedgerError: the ledger is smaller, or its history is another one, or a key is not revoked any more.
    """
    advice = "this is not the ledger that the checkpoint was taken of, or it was rewritten since"
    if len(ledger) < known.entries:
        got = f"{len(ledger)} entries, the checkpoint has {known.entries}"
        raise LedgerError(Problem("the ledger is smaller than at the checkpoint", got, advice))
    missing = set(known.tips) - {recorded.digest for recorded in ledger}
    if missing:
        raise LedgerError(Problem("an entry of the checkpoint is not in the ledger", min(missing), advice))
    now = take(up_to(known.tips, ledger), known.revoked)
    if (now.entries, now.root) != (known.entries, known.root):
        got = f"{now.entries} entries with root {now.root}"
        raise LedgerError(Problem(f"the checkpoint's history has another root than {known.root}", got, advice))
    lost = sorted(set(known.revoked) - set(revoked))
    if lost:
        raise LedgerError(Problem("lacks a key that was revoked", ", ".join(lost), "restore it from Git", REVOKED_KEYS))


def merkle_root(digests: Sequence[str]) -> str:
    """Merkle tree hash of RFC 6962 over digests, 64 hexadecimal digits."""
    if not digests:
        return EMPTY_ROOT
    level = [hashlib.sha256(b"\0" + bytes.fromhex(digest)).digest() for digest in digests]
    while len(level) > 1:  # an odd one out goes up as it is: the same tree as splitting at powers of two
        paired = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(level) - len(level) % 2 :]
    return level[0].hex()
