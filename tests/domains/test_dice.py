"""The integer stream that every generated corpus rests on."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domains import dice

seeds = st.binary(max_size=40)
labels = st.text(st.characters(codec="ascii"), max_size=10)


def test_a_known_seed_gives_these_integers_for_ever() -> None:
    assert dice.integers(b"seed", "label", 6, 0, 99).tolist() == [19, 42, 92, 35, 74, 73]
    assert dice.permutation(b"seed", "label", 6).tolist() == [3, 4, 1, 0, 2, 5]


@given(seeds, labels, st.integers(-1000, 1000), st.integers(0, 2000), st.integers(0, 50))
def test_draws_stay_inside_their_bounds_and_grow_without_changing(
    seed: bytes, label: str, low: int, span: int, count: int
) -> None:
    drawn = dice.integers(seed, label, count, low, low + span)
    assert drawn.shape == (count,)
    assert all(low <= number <= low + span for number in drawn)
    assert dice.integers(seed, label, count + 7, low, low + span)[:count].tolist() == drawn.tolist()


@given(seeds, labels, st.integers(1, 40), st.integers(1, 150))
def test_dealing_shows_every_card_equally_often(seed: bytes, label: str, cards: int, count: int) -> None:
    seen = np.bincount(dice.deal(seed, label, cards, count), minlength=cards)
    assert seen.sum() == count
    assert seen.max() - seen.min() <= 1


@given(seeds, labels, labels)
def test_another_label_is_another_stream(seed: bytes, one: str, other: str) -> None:
    same = dice.derive(seed, one) == dice.derive(seed, other)
    assert same == (one == other)


def test_integers_are_uniform() -> None:
    seen = np.bincount(dice.integers(b"", "uniform", 100_000, 0, 9), minlength=10)
    assert abs(seen - 10_000).max() < 500
