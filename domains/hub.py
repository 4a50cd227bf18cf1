"""The one door to the Hugging Face hub.

Takes a corpus whose `source` is a hub repository, or a directory in the same layout, and gives its rows as text or
pixels, in the order of the file. A revision is a commit, or what is read is checked against a pinned digest by the
caller. Never runs code from a repository, and needs the extra `hub`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aams.errors import AamsError, failure
from domains.base import Corpus

if TYPE_CHECKING:
    from datasets import Dataset


def read_texts(corpus: Corpus) -> list[str]:
    """Read the text column of every row.

    Raises:
        AamsError: the rows can't be had, or hold no such text.
    """
    column = corpus.options["text"]
    texts = list(_rows(corpus, column)[column])
    if not all(isinstance(text, str) for text in texts):
        raise _misfit(corpus, f"column {column} must hold text", type(texts[0]).__name__)
    return texts


def read_images(corpus: Corpus) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read every row's picture and label.

    Returns:
        (N, C, H, W) uint8 and (N,) uint8.

    Raises:
        AamsError: the rows can't be had, or don't have the corpus' interface.
    """
    face = corpus.interface
    image, label = corpus.options["image"], corpus.options["label"]
    rows = _rows(corpus, image, label)
    pictures = [np.asarray(picture) for picture in rows[image]]
    labels = np.array(list(rows[label]))
    shape = (face.height, face.width) if face.channels == 1 else (face.height, face.width, face.channels)
    for picture in pictures:
        if picture.shape != shape or picture.dtype != np.uint8:
            raise _misfit(corpus, f"pictures must be {shape} uint8", f"{picture.shape} {picture.dtype}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= face.classes:
        raise _misfit(corpus, f"labels must be in 0 .. {face.classes - 1}", f"{labels.min()} .. {labels.max()}")
    stacked = np.stack(pictures).reshape(-1, face.height, face.width, face.channels)
    return np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)), labels.astype(np.uint8)


def _rows(corpus: Corpus, *columns: str) -> Dataset:
    rows = _load(corpus)
    for column in columns:
        if column not in rows.column_names:
            raise _misfit(corpus, f"no column {column}", ", ".join(rows.column_names))
    if not len(rows):
        raise _misfit(corpus, "there are no rows", "0")
    return rows


def _load(corpus: Corpus) -> Dataset:
    try:
        import datasets
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise failure(
            f"corpus {corpus.id} comes from the hub", error, "install the extra: pip install -e '.[hub]'"
        ) from None
    split, files = corpus.options["split"], corpus.options["files"]
    chosen = {split: files} if files else None
    try:
        return datasets.load_dataset(corpus.source, revision=corpus.revision, split=split, data_files=chosen)
    except (OSError, ValueError, RuntimeError, HfHubHTTPError, datasets.exceptions.DatasetsError) as error:
        advice = "check source, revision and options, and that the hub can be reached"
        got = (str(error).splitlines() or [type(error).__name__])[0]
        origin = f"{corpus.source} at {corpus.revision}"
        raise failure(f"corpus {corpus.id} can't be loaded from {origin}", got, advice) from error


def _misfit(corpus: Corpus, what: str, got: str) -> AamsError:
    return failure(f"corpus {corpus.id}: {what}", got, "correct its entry in corpora.yaml")
