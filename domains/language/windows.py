"""From documents to arrays of bytes.

Takes a corpus, gives `Prepared`: the training documents as one flat array, every other split as windows. A document
is in one split only; and where documents of two splits share a passage, the windows that training text would give away
are dropped (of NumPy's docstrings every sixth). Never asks for 191 bytes in a row that were trained on, but in replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from domains import dice
from domains.base import Corpus, Prepared
from domains.hub import read_texts
from domains.language.docstrings import read_docstrings
from domains.splits import check_digest, contents_digest, divide, prepared_from

SEPARATOR = b"\0"
PASSAGE_BYTES = 2048
BLOCK_BYTES = 96


def prepare_documents(corpus: Corpus, evaluated: Mapping[str, int]) -> Prepared:
    """Read documents, check their digest, divide them and cut windows.

    Raises:
        AamsError: it can't be read, or is not what the whitelist pins.
    """
    documents = read_documents(corpus)
    total = sum(map(len, documents))
    check_digest(corpus, contents_digest(documents), f"{len(documents)} documents of {total} bytes")
    places = divide(documents, corpus.splits)
    parts = {split: [documents[place] for place in chosen] for split, chosen in places.items()}
    windows = {split: cut_windows(parts[split], corpus.interface.tokens) for split in parts if split != "train"}
    trained = SEPARATOR.join(parts["train"] + parts["replay"])
    for split in ("validation", "probe", "holdout"):
        windows[split] = drop_seen(windows[split], trained)
    holdout = windows.pop("holdout")
    arrays = {split: {"tokens": _some(part, split, evaluated[split])} for split, part in windows.items()}
    arrays["train"] = {"tokens": np.frombuffer(trained, dtype=np.uint8)}
    return prepared_from(corpus, arrays, {"tokens": holdout})


def read_documents(corpus: Corpus) -> list[bytes]:
    """Read a corpus' documents as UTF-8 without NUL, which separates them."""
    match corpus.loader:
        case "numpy-docstrings":
            texts = read_docstrings(corpus)
        case "hub-passages":
            texts = cut_passages("".join(read_texts(corpus)))
        case _:
            texts = read_texts(corpus)
    return [text.encode("utf-8").replace(SEPARATOR, b"") for text in texts]


def cut_passages(text: str) -> list[str]:
    """Cut one long text at blank lines into passages of at least PASSAGE_BYTES, the last one excepted."""
    passages = [""]
    for paragraph in text.split("\n\n"):
        if len(passages[-1].encode("utf-8")) >= PASSAGE_BYTES:
            passages.append("")
        passages[-1] += paragraph + "\n\n"
    return passages


def cut_windows(documents: Sequence[bytes], length: int) -> NDArray[np.uint8]:
    """Join documents and cut windows whose last byte is the next one's first, so that each byte is a target once.

    Returns:
        (N, length + 1) uint8; a rest shorter than a window is dropped.
    """
    stream = np.frombuffer(SEPARATOR.join(documents), dtype=np.uint8)
    count = max(len(stream) - 1, 0) // length
    windows = np.empty((count, length + 1), dtype=np.uint8)
    windows[:, :length] = stream[: count * length].reshape(count, length)
    windows[:, length] = stream[length : count * length + 1 : length]
    return windows


def drop_seen(windows: NDArray[np.uint8], trained: bytes) -> NDArray[np.uint8]:
    """Keep the windows that share no run of 2 * BLOCK_BYTES - 1 bytes with the training text, and few of BLOCK_BYTES.

    Such a run holds one whole block of those that the training text divides into.
    """
    blocks = {trained[start : start + BLOCK_BYTES] for start in range(0, len(trained) - BLOCK_BYTES + 1, BLOCK_BYTES)}
    starts = range(windows.shape[1] - BLOCK_BYTES + 1)
    rows = (window.tobytes() for window in windows)
    unseen = [all(row[start : start + BLOCK_BYTES] not in blocks for start in starts) for row in rows]
    return np.compress(unseen, windows, axis=0)


def _some(windows: NDArray[np.uint8], split: str, count: int) -> NDArray[np.uint8]:
    """Choose `count` windows from all over a split, always the same ones."""
    return windows[dice.permutation(b"windows", split, len(windows))[:count]]
