"""Questions about two digits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domains import active_interface
from domains.base import Prepared
from domains.hybrid.questions import ANSWERS, QUESTIONS, ask

DIGIT = st.integers(0, 9)


def expected(question: str, left: int, right: int) -> str:
    """Answer as a person would who reads the question."""
    if "even" in question:
        return "yes" if (left if "left" in question else right) % 2 == 0 else "no"
    if "larger" in question or "bigger" in question:
        return "same" if left == right else "left" if left > right else "right"
    return str(left + right)


@given(st.binary(max_size=8), st.lists(st.tuples(DIGIT, DIGIT), min_size=1, max_size=30))
def test_every_question_has_the_answer_a_person_would_give(seed: bytes, pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array(column) for column in zip(*pairs, strict=True))
    questions, labels = ask(seed, 20, left, right)
    for row, label, pair in zip(questions, labels, pairs, strict=True):
        assert ANSWERS[label] == expected(row.tobytes().lstrip(b"\0").decode("ascii"), *pair)


def test_questions_fit_the_interface_and_end_at_its_last_token(prepared: Callable[[str], Prepared]) -> None:
    face = active_interface("hybrid")
    assert max(len(phrasing) for question in QUESTIONS for phrasing in question.phrasings) == face.tokens
    assert face.classes == len(ANSWERS)
    questions = prepared("hybrid").arrays["train"]["questions"]
    assert np.all(questions[:, -1] > 0)
    assert questions.max() < face.vocabulary


def test_every_answer_comes_up_in_training(prepared: Callable[[str], Prepared]) -> None:
    assert set(prepared("hybrid").arrays["train"]["labels"].tolist()) == set(range(len(ANSWERS)))
