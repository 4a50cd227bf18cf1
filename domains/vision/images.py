"""Images with labels: cluttered digits drawn from base images, or a fixed corpus from the hub.

Takes a corpus, gives `Prepared`, and holdout blocks from a seed. Never shows a base image, not even a fragment of one,
in two splits.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from domains import dice
from domains.base import Corpus, Prepared
from domains.clutter import Clutter, draw
from domains.digits import Bases, holdout_arrays, split_bases
from domains.hub import read_images
from domains.splits import check_digest, contents_digest, divide, prepared_from

Images = dict[str, NDArray[np.uint8]]

TRAINED = 12_000
GENERATOR = b"cluttered-digits-1"


def difficulty(height: int, width: int) -> Clutter:
    """Set so that a small residual network lands at 75 to 85 % within the domain's compute, and more is to be had."""
    return Clutter(
        height, width, side=(10, 15), slant=(-48, 48), ink=(176, 256), fragments=3, fragment=(3, 4), noise=32
    )


def prepare_cluttered(corpus: Corpus, evaluated: Mapping[str, int]) -> Prepared:
    """Draw every split from its own base images; replay's images are part of what is trained on.

    Raises:
        AamsError: the installed digits aren't the pinned ones.
    """
    bases = split_bases(corpus)
    clutter = difficulty(corpus.interface.height, corpus.interface.width)
    counts = {"train": TRAINED, **{split: evaluated[split] for split in ("validation", "replay", "probe")}}
    arrays = {
        split: draw_images(bases[split], clutter, dice.derive(GENERATOR, split), count)
        for split, count in counts.items()
    }
    arrays["train"] = {name: np.concatenate([array, arrays["replay"][name]]) for name, array in arrays["train"].items()}
    return prepared_from(corpus, arrays, holdout_arrays(bases["holdout"]))


def draw_images(bases: Bases, clutter: Clutter, seed: bytes, count: int) -> Images:
    """Draw `count` images that show every base image equally often.

    Returns:
        `images` (count, 1, H, W) uint8 and `labels` (count,) uint8.
    """
    chosen = dice.deal(seed, "bases", len(bases.labels), count)
    return {"images": draw(bases.pixels, chosen, clutter, seed)[:, None], "labels": bases.labels[chosen]}


def draw_blocks(prepared: Prepared, seed: bytes, blocks: int, items: int) -> Images:
    """Draw holdout blocks afresh; block i is the same however many are asked for."""
    bases = Bases(prepared.holdout["bases"], prepared.holdout["labels"])
    clutter = difficulty(prepared.interface.height, prepared.interface.width)
    seeds = [dice.derive(GENERATOR + seed, f"holdout/{block}") for block in range(blocks)]
    drawn = [draw_images(bases, clutter, block_seed, items) for block_seed in seeds]
    return {name: np.concatenate([block[name] for block in drawn]) for name in ("images", "labels")}


def prepare_fixed(corpus: Corpus, evaluated: Mapping[str, int]) -> Prepared:
    """Load a corpus of images from the hub and divide it by the hash of their pixels.

    Raises:
        AamsError: it can't be loaded, or is not what the whitelist pins.
    """
    images, labels = read_images(corpus)
    pixels = [image.tobytes() for image in images]
    got = contents_digest([bytes([label]) + image for label, image in zip(labels, pixels, strict=True)])
    check_digest(corpus, got, f"{len(images)} images")
    parts = divide(pixels, corpus.splits)
    chosen = {split: parts[split][: evaluated[split]] for split in ("validation", "replay", "probe")}
    chosen["train"] = np.concatenate([parts["train"], parts["replay"]])
    arrays = {split: {"images": images[places], "labels": labels[places]} for split, places in chosen.items()}
    return prepared_from(corpus, arrays, {"images": images[parts["holdout"]], "labels": labels[parts["holdout"]]})
