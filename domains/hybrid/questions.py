"""Questions about two digits in one picture.

Takes a corpus, gives `Prepared`, and holdout blocks from a seed. The answer follows from the two labels; a question is
one of a few phrasings. Never shows a base image, not even a fragment of one, in two splits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains import dice
from domains.base import Corpus, Prepared
from domains.clutter import Clutter, draw
from domains.dice import Integers
from domains.digits import Bases, holdout_arrays, split_bases
from domains.splits import prepared_from

Items = dict[str, NDArray[np.uint8]]

TRAINED = 14_000
GENERATOR = b"digit-questions-1"
YES, NO, LEFT, RIGHT, SAME = range(19, 24)
ANSWERS = (*(str(number) for number in range(19)), "yes", "no", "left", "right", "same")


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask: its phrasings, how often it comes (of ten), and the answer for left and right labels."""

    phrasings: tuple[str, ...]
    share: int
    answer: Callable[[Integers, Integers], Integers]


QUESTIONS = (
    Question(("is the left even?", "left: even?"), 3, lambda left, right: np.where(left % 2 == 0, YES, NO)),
    Question(("is the right even?", "right: even?"), 3, lambda left, right: np.where(right % 2 == 0, YES, NO)),
    Question(
        ("which is larger?", "which one is bigger?", "larger digit?"),
        3,
        lambda left, right: np.where(left > right, LEFT, np.where(right > left, RIGHT, SAME)),
    ),
    Question(("what is the sum?", "left plus right?", "add both digits"), 1, lambda left, right: left + right),
)


def difficulty(height: int, width: int) -> Clutter:
    """One half of the picture, set so that a small prefix-fusion network lands at 60 to 85 % within COMPUTE_FLOPS."""
    return Clutter(
        height, width // 2, side=(9, 12), slant=(-32, 32), ink=(192, 256), fragments=1, fragment=(2, 3), noise=24
    )


def prepare_questions(corpus: Corpus, evaluated: Mapping[str, int]) -> Prepared:
    """Draw every split from its own base images; replay's items are part of what is trained on.

    Raises:
        AamsError: the installed digits aren't the pinned ones.
    """
    bases = split_bases(corpus)
    face = corpus.interface
    clutter = difficulty(face.height, face.width)
    counts = {"train": TRAINED, **{split: evaluated[split] for split in ("validation", "replay", "probe")}}
    arrays = {
        split: draw_items(bases[split], clutter, face.tokens, dice.derive(GENERATOR, split), count)
        for split, count in counts.items()
    }
    arrays["train"] = {name: np.concatenate([array, arrays["replay"][name]]) for name, array in arrays["train"].items()}
    return prepared_from(corpus, arrays, holdout_arrays(bases["holdout"]))


def draw_blocks(prepared: Prepared, seed: bytes, blocks: int, items: int) -> Items:
    """Draw holdout blocks afresh; block i is the same however many are asked for."""
    bases = Bases(prepared.holdout["bases"], prepared.holdout["labels"])
    face = prepared.interface
    clutter = difficulty(face.height, face.width)
    seeds = [dice.derive(GENERATOR + seed, f"holdout/{block}") for block in range(blocks)]
    drawn = [draw_items(bases, clutter, face.tokens, block_seed, items) for block_seed in seeds]
    return {name: np.concatenate([block[name] for block in drawn]) for name in ("images", "questions", "labels")}


def draw_items(bases: Bases, clutter: Clutter, length: int, seed: bytes, count: int) -> Items:
    """Draw `count` pictures, each with one question and its answer.

    Returns:
        `images` (count, 1, H, W), `questions` (count, length) ASCII with zeros on the left, `labels` (count,); uint8.
    """
    halves, digits = [], []
    for side in ("left", "right"):
        chosen = dice.deal(seed, side, len(bases.labels), count)
        halves.append(draw(bases.pixels, chosen, clutter, dice.derive(seed, side)))
        digits.append(bases.labels[chosen].astype(np.int64))
    questions, labels = ask(seed, length, *digits)
    return {"images": np.concatenate(halves, axis=2)[:, None], "questions": questions, "labels": labels}


def ask(seed: bytes, length: int, left: Integers, right: Integers) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Choose a question for each pair of digits, and answer it.

    Returns:
        (N, length) and (N,) uint8.
    """
    count = len(left)
    shares = np.repeat(np.arange(len(QUESTIONS)), [question.share for question in QUESTIONS])
    asked = shares[dice.integers(seed, "question", count, 0, len(shares) - 1)]
    phrased = dice.integers(seed, "phrasing", count, 0, 2**16 - 1)
    questions = np.zeros((count, length), dtype=np.uint8)
    labels = np.zeros(count, dtype=np.uint8)
    for number, question in enumerate(QUESTIONS):
        texts = np.stack([_padded(phrasing, length) for phrasing in question.phrasings])
        rows = asked == number
        questions[rows] = texts[phrased[rows] % len(texts)]
        labels[rows] = question.answer(left[rows], right[rows])
    return questions, labels


def _padded(text: str, length: int) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode("ascii").rjust(length, b"\0"), dtype=np.uint8)
