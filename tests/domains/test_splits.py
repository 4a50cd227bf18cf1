"""Splits by content, digests of what was read, and holdout blocks of fixed items."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.errors import AamsError
from domains.base import Corpus, Splits
from domains.splits import check_digest, contents_digest, cut_blocks, divide, prepared_from

SPLITS = Splits(5, 1, 1, 1, 2)
items = st.lists(st.binary(max_size=6), max_size=60)


@given(items, st.randoms())
def test_splits_are_disjoint_complete_and_blind_to_order_and_duplicates(
    contents: list[bytes], order: random.Random
) -> None:
    parts = {split: [contents[place] for place in places] for split, places in divide(contents, SPLITS).items()}
    found = [content for part in parts.values() for content in part]
    assert sorted(found) == sorted(set(contents))
    shuffled = contents * 2
    order.shuffle(shuffled)
    again = {split: [shuffled[place] for place in places] for split, places in divide(shuffled, SPLITS).items()}
    assert again == parts
    assert contents_digest(shuffled) == contents_digest(contents)


@given(items, st.binary(min_size=7, max_size=7))
def test_a_growing_corpus_moves_nothing(contents: list[bytes], more: bytes) -> None:
    before = {contents[place]: split for split, places in divide(contents, SPLITS).items() for place in places}
    after = {
        [*contents, more][place]: split
        for split, places in divide([*contents, more], SPLITS).items()
        for place in places
    }
    assert after.items() >= before.items()


def test_splits_have_about_their_shares() -> None:
    parts = divide([str(number).encode() for number in range(10_000)], SPLITS)
    assert {split: round(len(places) / 1000) for split, places in parts.items()} == {
        "train": 5,
        "replay": 1,
        "validation": 1,
        "probe": 1,
        "holdout": 2,
    }


def test_a_wrong_digest_names_corpus_both_digests_and_what_was_read(entry: Callable[..., Corpus]) -> None:
    corpus = entry("vision", digest="0" * 64)
    with pytest.raises(AamsError, match=r"cluttered-digits is not what .* 0{64} by rule file; got ff from x; install"):
        check_digest(corpus, "ff", "x")


def test_an_empty_split_is_an_error(entry: Callable[..., Corpus]) -> None:
    empty = {"tokens": np.zeros((0, 3), dtype=np.uint8)}
    with pytest.raises(AamsError, match="split probe of corpus numpy-docstrings is empty"):
        prepared_from(entry("language"), {"probe": empty}, {})


@given(st.integers(0, 5), st.integers(1, 8), st.binary(max_size=8))
def test_blocks_of_fixed_items_never_share_one(blocks: int, count: int, seed: bytes) -> None:
    pool = {"images": np.arange(40).reshape(40, 1), "labels": np.arange(40)}
    drawn = cut_blocks(pool, seed, blocks, count)
    assert len(set(drawn["labels"].tolist())) == blocks * count
    assert np.array_equal(drawn["images"][:, 0], drawn["labels"])


def test_too_many_blocks_are_refused_with_what_there_is() -> None:
    with pytest.raises(AamsError, match="can't fill 5 blocks of 9 items; got 40 items; ask for at most 4 blocks"):
        cut_blocks({"tokens": np.zeros((40, 2))}, b"", 5, 9)
