"""Splits by content: which items a model may learn from, and which it is asked.

Takes the exact bytes of items, gives disjoint splits. An item's split depends on its own bytes only, so a corpus that
grows moves nothing, and a duplicate can't stand on both sides. Never looks at a position or a name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aams.canonical import digest
from aams.errors import failure
from domains import dice
from domains.base import Corpus, Prepared, Splits

if TYPE_CHECKING:
    from domains.base import Arrays


def divide(contents: Sequence[bytes], splits: Splits) -> dict[str, NDArray[np.int64]]:
    """Divide items by their SHA-256, dropping duplicates.

    Returns:
        split name to the items' positions in `contents`, ordered by their hash.
    """
    shares = asdict(splits)
    bounds = np.cumsum(list(shares.values()))
    parts: dict[str, list[int]] = {name: [] for name in shares}
    names = list(shares)
    first = {hashlib.sha256(content).digest(): position for position, content in reversed(list(enumerate(contents)))}
    for key in sorted(first):
        ticket = int.from_bytes(key[-8:], "big") % int(bounds[-1])
        parts[names[int(np.searchsorted(bounds, ticket, side="right"))]].append(first[key])
    return {name: np.array(positions, dtype=np.int64) for name, positions in parts.items()}


def contents_digest(contents: Sequence[bytes]) -> str:
    """Digest of a set of items, whatever their order: SHA-256 of their sorted, distinct SHA-256s."""
    keys = sorted({hashlib.sha256(content).digest() for content in contents})
    return hashlib.sha256(b"".join(keys)).hexdigest()


def check_digest(corpus: Corpus, got: str, described: str) -> None:
    """Compare what was read with what the whitelist pins; a corpus without a digest is pinned by its commit.

    Raises:
        AamsError: naming the corpus, both digests and what was read.
    """
    if corpus.digest and got != corpus.digest:
        raise failure(
            f"corpus {corpus.id} is not what the whitelist pins: sha256 {corpus.digest} by rule {corpus.digest_rule}",
            f"{got} from {described}",
            f"install {corpus.source} at revision {corpus.revision}, or pin a new corpus (it starts a new lineage)",
        )


def prepared_from(corpus: Corpus, arrays: Mapping[str, Arrays], holdout: Arrays) -> Prepared:
    """Complete a `Prepared` with the digest of its arrays: names, types, shapes and bytes, holdout included.

    Raises:
        AamsError: a split is empty.
    """
    everything = {**arrays, "holdout": holdout}
    for split, named in everything.items():
        if any(not len(array) for array in named.values()):
            raise failure(f"split {split} of corpus {corpus.id} is empty", advice="give it a larger share")
    facts = {
        split: {name: [str(array.dtype), list(array.shape), _bytes_digest(array)] for name, array in named.items()}
        for split, named in everything.items()
    }
    return Prepared(corpus.id, digest(facts), corpus.interface, arrays, holdout)


def cut_blocks(pool: Arrays, seed: bytes, blocks: int, items: int) -> dict[str, NDArray[Any]]:
    """Shuffle fixed items by a seed and cut `blocks` disjoint blocks, laid one after the other.

    Raises:
        AamsError: there are too few.
    """
    have = len(next(iter(pool.values())))
    if blocks * items > have:
        advice = f"ask for at most {have // items} blocks"
        raise failure(f"the holdout can't fill {blocks} blocks of {items} items", f"{have} items", advice)
    chosen = dice.permutation(seed, "holdout", have)[: blocks * items]
    return {name: array[chosen] for name, array in pool.items()}


def _bytes_digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
