"""Checkpoints: a few lines kept elsewhere, against which a ledger can't be rewritten unnoticed.

Takes the ordered ledger, gives its size, its tips and the root of a Merkle tree over its entries (RFC 6962, section
2.1, leaves are the entries' digests). A ledger that holds a checkpoint's tips holds all that they follow, so more may
have been added to it, and nothing changed or removed. Never writes a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from aams.errors import LedgerError, Problem
from safety.ledger import Recorded, tips, up_to

EMPTY_ROOT = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A ledger's fingerprint. `time` is of its newest entry, UTC; "" for an empty one."""

    schema_version: int
    entries: int
    root: str
    tips: tuple[str, ...]
    time: str


def take(ledger: Sequence[Recorded]) -> Checkpoint:
    """Take a ledger's checkpoint."""
    newest = max((recorded.entry.time for recorded in ledger), default="")
    return Checkpoint(1, len(ledger), merkle_root([recorded.digest for recorded in ledger]), tips(ledger), newest)


def check_against(ledger: Sequence[Recorded], known: Checkpoint) -> None:
    """See that a ledger only grew since a checkpoint was taken.

    Raises:
        LedgerError: it is smaller, or its history is another one.
    """
    advice = "this is not the ledger that the checkpoint was taken of, or it was rewritten since"
    if len(ledger) < known.entries:
        got = f"{len(ledger)} entries, the checkpoint has {known.entries}"
        raise LedgerError(Problem("the ledger is smaller than at the checkpoint", got, advice))
    missing = set(known.tips) - {recorded.digest for recorded in ledger}
    if missing:
        raise LedgerError(Problem("an entry of the checkpoint is not in the ledger", min(missing), advice))
    now = take(up_to(known.tips, ledger))
    if (now.entries, now.root) != (known.entries, known.root):
        got = f"{now.entries} entries with root {now.root}"
        raise LedgerError(Problem(f"the checkpoint's history has another root than {known.root}", got, advice))


def merkle_root(digests: Sequence[str]) -> str:
    """Merkle tree hash of RFC 6962 over digests, 64 hexadecimal digits."""
    if not digests:
        return EMPTY_ROOT
    level = [hashlib.sha256(b"\0" + bytes.fromhex(digest)).digest() for digest in digests]
    while len(level) > 1:  # an odd one out goes up as it is: the same tree as splitting at powers of two
        paired = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(level) - len(level) % 2 :]
    return level[0].hex()
