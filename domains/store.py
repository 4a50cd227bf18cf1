"""The cache of prepared corpora: safetensors files that are believed only if their digest is right.

Takes a cache directory and a whitelist entry, gives `Prepared` or nothing. An entry's place is the digest of the entry
and of this package's source, so a change of either is another place. Never fails because of what it finds: damage means
that the corpus is prepared again.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aams.canonical import canonical_json, digest, sha256, to_data
from aams.errors import AamsError
from aams.files import read_bounded, write_whole
from aams.strict import read_json
from domains.base import Corpus, Prepared
from domains.splits import prepared_from

SPLITS = ("train", "validation", "replay", "probe")
MAX_SPLIT_BYTES = 2**30


def place(cache: Path, corpus: Corpus) -> Path:
    """Name the directory of one corpus inside the cache."""
    package = Path(__file__).parent
    sources = {path.relative_to(package).as_posix(): sha256(path.read_bytes()) for path in package.rglob("*.py")}
    return cache / digest({"corpus": to_data(corpus), "sources": sources})


def store(cache: Path, corpus: Corpus, prepared: Prepared) -> None:
    """Write a prepared corpus, its digest last.

    Raises:
        AamsError: the disk is full or can't be written.
    """
    directory = place(cache, corpus)
    for split, arrays in {**prepared.arrays, "holdout": prepared.holdout}.items():
        content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        write_whole(directory / f"{split}.safetensors", content)
    write_whole(directory / "digest.json", canonical_json({"corpus": corpus.id, "digest": prepared.digest}))


def recall(cache: Path, corpus: Corpus) -> Prepared | None:
    """Read a prepared corpus back; None when it is absent, incomplete or damaged."""
    directory = place(cache, corpus)
    try:
        expected = read_json(read_bounded(directory / "digest.json", 1000), "digest.json")
        arrays = {split: load(read_bounded(directory / f"{split}.safetensors", MAX_SPLIT_BYTES)) for split in SPLITS}
        holdout = load(read_bounded(directory / "holdout.safetensors", MAX_SPLIT_BYTES))
        prepared = prepared_from(corpus, arrays, holdout)
    except (AamsError, SafetensorError):
        return None
    return prepared if expected == {"corpus": corpus.id, "digest": prepared.digest} else None
