"""Vision: small images, one label each.

Recall is asked on images that were trained on, generalize on images of digits that never were. Of cluttered digits
every holdout block is drawn afresh from base images of its own split, after the weights are in; of a fixed corpus it is
a seeded choice. The image's size and the classes belong to the corpus; stem, stages, head and recipe are fair game. The
precision is not: runs are equal in FLOPs, and a lower precision changes what a FLOP costs and how far results agree
between machines, not the architecture. Never imports NumPy before data is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from domains.base import Corpus, Prepared

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "vision"
COMPUTE_FLOPS = 100_000_000_000
EVALUATED: Mapping[str, int] = {"replay": 1000, "validation": 1000, "probe": 300, "holdout": 1000}
METRICS: Mapping[str, str] = {
    "recall": "top-1 accuracy on images that were trained on",
    "generalize": "top-1 accuracy on the holdout",
    "tone_drift": "Jensen-Shannon divergence of the mean class distributions on the probes, base 2",
    "bits": "bits per label on the holdout",
}
FIXED: tuple[str, ...] = ("schema_version", "domain", "training.precision")
LOADERS: Mapping[str, tuple[str, ...]] = {
    "cluttered-digits-1": (),
    "hub-images": ("split", "files", "image", "label"),
}


def prepare(corpus: Corpus) -> Prepared:
    """Draw or load a corpus' images, uncached.

    Raises:
        AamsError: it can't be read, or is not what the whitelist pins.
    """
    from domains.vision import images

    if corpus.loader == "hub-images":
        return images.prepare_fixed(corpus, EVALUATED)
    return images.prepare_cluttered(corpus, EVALUATED)


def draw_holdout(
    prepared: Prepared, seed: bytes, blocks: int, items: int = EVALUATED["holdout"]
) -> dict[str, NDArray[Any]]:
    """Draw disjoint holdout blocks: `images` (blocks * items, C, H, W) and `labels` (blocks * items,), both uint8.

    Raises:
        AamsError: a fixed corpus has too few images.
    """
    from domains.splits import cut_blocks
    from domains.vision.images import draw_blocks

    if "bases" in prepared.holdout:
        return draw_blocks(prepared, seed, blocks, items)
    return cut_blocks(prepared.holdout, seed, blocks, items)
