"""Drawing digits onto canvases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domains.clutter import Clutter, draw, place

CLEAN = Clutter(20, 20, side=(8, 8), slant=(0, 0), ink=(256, 256), fragments=0, fragment=(3, 4), noise=0)
FULL = np.full((1, 8, 8), 16, dtype=np.uint8)


def test_an_image_at_its_own_size_is_placed_unchanged() -> None:
    image = (np.arange(64, dtype=np.uint8).reshape(1, 8, 8) * 5) % 17
    placed = place(image, np.array([[8, 3, 5, 0, 256]]), 20, 20)
    inside = placed[0, 3:11, 5:13]
    assert np.array_equal(inside, (image[0].astype(int) * 256 * 255) >> 12)
    assert placed.sum() == inside.sum()


def test_a_larger_side_covers_a_larger_square() -> None:
    covered = [np.count_nonzero(place(FULL, np.array([[side, 2, 2, 0, 256]]), 20, 20)) for side in (8, 12, 16)]
    assert covered == sorted(covered)
    assert covered[2] >= 16 * 16


def test_a_slant_moves_the_top_and_the_bottom_apart() -> None:
    placed = place(FULL, np.array([[8, 6, 6, 128, 256]]), 20, 20)[0]
    assert np.flatnonzero(placed[6])[0] != np.flatnonzero(placed[13])[0]


def test_an_image_outside_its_canvas_leaves_it_empty() -> None:
    assert not place(FULL, np.array([[8, 40, -40, 0, 256]]), 20, 20).any()


@settings(max_examples=40, deadline=None)
@given(
    st.binary(max_size=20),
    st.integers(4, 24),
    st.integers(4, 24),
    st.integers(0, 2),
    st.integers(0, 255),
    st.integers(-256, 256),
)
def test_a_canvas_depends_on_its_own_row_only(
    seed: bytes, height: int, width: int, fragments: int, noise: int, slant: int
) -> None:
    side = (1, min(height, width))
    clutter = Clutter(height, width, side, (min(slant, 0), max(slant, 0)), (1, 256), fragments, (1, 8), noise)
    bases = np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8) % 17
    chosen = np.array([2, 0, 1, 1])
    whole = draw(bases, chosen, clutter, seed)
    assert whole.shape == (4, height, width)
    assert np.array_equal(draw(bases, chosen[:2], clutter, seed), whole[:2])


def test_without_clutter_every_digit_lies_whole_inside() -> None:
    canvases = draw(FULL, np.zeros(200, dtype=np.int64), CLEAN, b"seed")
    assert np.all(np.count_nonzero(canvases, axis=(1, 2)) == 64)


@pytest.mark.parametrize("count", [0, 1, 1025])
def test_any_number_of_canvases_can_be_drawn(count: int) -> None:
    assert draw(FULL, np.zeros(count, dtype=np.int64), CLEAN, b"").shape == (count, 20, 20)
