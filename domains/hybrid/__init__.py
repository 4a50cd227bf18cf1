"""Hybrid: a picture of two handwritten digits and a question about them, one answer of a closed set.

Recall is asked on items that were trained on, generalize on items whose handwriting never was; every holdout block is
drawn afresh, after the weights are in. Parity comes first within the domain's compute, comparison and sums later, so
there is room above the baseline. The image's size, the question's length and the answers belong to the corpus; both
stacks, fusion and recipe are fair game. The precision is not: runs are equal in FLOPs, and a lower precision changes
what a FLOP costs and how far results agree between machines, not the architecture. Never imports NumPy before data is
asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domains.base import Corpus, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "hybrid"
COMPUTE_FLOPS = 120_000_000_000
EVALUATED: Mapping[str, int] = {"replay": 1000, "validation": 1000, "probe": 300, "holdout": 1000}
METRICS: Mapping[str, str] = {
    "recall": "top-1 accuracy on items that were trained on",
    "generalize": "top-1 accuracy on the holdout",
    "tone_drift": "Jensen-Shannon divergence of the mean answer distributions on the probes, base 2",
    "bits": "bits per answer on the holdout",
}
FIXED: tuple[str, ...] = ("schema_version", "domain", "training.precision")
LOADERS: Mapping[str, tuple[str, ...]] = {"digit-questions-1": ()}


def prepare(corpus: Corpus) -> Prepared:
    """Draw a corpus' pictures and questions, uncached.

    Raises:
        AamsError: the installed digits aren't the pinned ones.
    """
    from domains.hybrid.questions import prepare_questions

    return prepare_questions(corpus, EVALUATED)


def draw_holdout(
    prepared: Prepared, seed: bytes, blocks: int, items: int = EVALUATED["holdout"]
) -> dict[str, NDArray[Any]]:
    """Draw disjoint holdout blocks.

    Returns:
        `images` (blocks * items, 1, H, W), `questions` (blocks * items, Q), `labels` (blocks * items,), all uint8.
    """
    from domains.hybrid.questions import draw_blocks

    return draw_blocks(prepared, seed, blocks, items)
