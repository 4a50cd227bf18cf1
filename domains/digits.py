"""The 1,797 handwritten digits inside scikit-learn, as base images for generated corpora.

Takes a corpus, gives 8x8 images with their labels, by split. A split is by base image, so no handwriting stands on both
sides. Read as a file: `sklearn.datasets` would take two seconds to import. The digits are the test set of Alpaydin &
Kaynak 1998 (UCI, Optical Recognition of Handwritten Digits).
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aams.canonical import sha256
from aams.errors import failure
from aams.files import read_bounded
from domains.base import Corpus
from domains.installed import package_directory
from domains.splits import check_digest, divide

MAX_FILE_BYTES = 2**20
COLUMNS = 65


@dataclass(frozen=True, slots=True)
class Bases:
    """Base images: `pixels` (K, 8, 8) uint8, 0..16; `labels` (K,) uint8, 0..9."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def split_bases(corpus: Corpus) -> dict[str, Bases]:
    """Read the digits and divide them by the hash of their pixels.

    Raises:
        AamsError: the installed file isn't the pinned one.
    """
    path = package_directory(corpus, "sklearn") / "datasets" / "data" / "digits.csv.gz"
    content = read_bounded(path, MAX_FILE_BYTES)
    check_digest(corpus, sha256(content), path.name)
    bases = parse(content)
    parts = divide([image.tobytes() for image in bases.pixels], corpus.splits)
    return {name: Bases(bases.pixels[chosen], bases.labels[chosen]) for name, chosen in parts.items()}


def parse(content: bytes) -> Bases:
    """Read gzipped lines of 64 pixels and a label.

    Raises:
        AamsError: it is something else.
    """
    try:
        numbers = np.array([line.split(b",") for line in gzip.decompress(content).split()]).astype(np.uint8)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise failure("the digits can't be read", error, "reinstall scikit-learn") from None
    if numbers.ndim != 2 or numbers.shape[1] != COLUMNS or numbers[:, :-1].max() > 16 or numbers[:, -1].max() > 9:
        raise failure("the digits can't be read", f"shape {numbers.shape}", "reinstall scikit-learn")
    return Bases(numbers[:, :-1].reshape(-1, 8, 8), numbers[:, -1])


def holdout_arrays(bases: Bases) -> dict[str, NDArray[np.uint8]]:
    """Base images as the arrays of a `Prepared`'s holdout."""
    return {"bases": bases.pixels, "labels": bases.labels}
