"""Language: causal models over bytes, asked for the next one.

An item is a window of `interface.tokens` bytes and one more, the last target. Recall is asked on windows of documents
that were trained on, generalize on windows of documents that never were. Every token of a window counts, in chunks of
the model's context, so the context's length is fair game, and so is the batch. The precision is not: runs are equal in
FLOPs, and a lower precision changes what a FLOP costs and how far results agree between machines, not the
architecture. Never imports NumPy before data is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domains.base import Corpus, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "language"
COMPUTE_FLOPS = 100_000_000_000
EVALUATED: Mapping[str, int] = {"replay": 100, "validation": 200, "probe": 60, "holdout": 60}
METRICS: Mapping[str, str] = {
    "recall": "next-byte top-1 accuracy on windows that were trained on",
    "generalize": "next-byte top-1 accuracy on the holdout",
    "tone_drift": "Jensen-Shannon divergence of the mean next-byte distributions on the probes, base 2",
    "bits": "bits per byte on the holdout",
}
FIXED: tuple[str, ...] = ("schema_version", "domain", "training.precision")
LOADERS: Mapping[str, tuple[str, ...]] = {
    "numpy-docstrings": (),
    "hub-rows": ("split", "files", "text"),
    "hub-passages": ("split", "files", "text"),
}


def prepare(corpus: Corpus) -> Prepared:
    """Read a corpus' documents and cut them into arrays of bytes, uncached.

    Raises:
        AamsError: it can't be read, or is not what the whitelist pins.
    """
    from domains.language.windows import prepare_documents

    return prepare_documents(corpus, EVALUATED)


def draw_holdout(
    prepared: Prepared, seed: bytes, blocks: int, items: int = EVALUATED["holdout"]
) -> dict[str, NDArray[Any]]:
    """Draw disjoint blocks of holdout windows: `tokens` (blocks * items, T + 1) uint8.

    The text is public and fixed, so only the order is the seed's.

    Raises:
        AamsError: there are too few windows.
    """
    from domains.splits import cut_blocks

    return cut_blocks(prepared.holdout, seed, blocks, items)
