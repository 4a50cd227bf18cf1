"""The generator of cluttered digits: real handwriting on a larger canvas, shifted, scaled, slanted, among fragments.

Takes 8x8 base images and a seed, gives uint8 images. Every step is integer arithmetic on draws of `domains.dice`, so
that equal arguments give equal bytes on every machine. Never reads a file and never mixes base images it wasn't given:
a distractor comes from the same split as the digit it disturbs. After the cluttered MNIST of Mnih et al. 2014
(Recurrent Models of Visual Attention, arXiv:1406.6247).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domains import dice
from domains.dice import Integers

Pixels = NDArray[np.uint8]

BASE = 8
ONE = 256
CHUNK = 1024


@dataclass(frozen=True, slots=True)
class Clutter:
    """How hard a canvas is. Pairs are the lowest and highest draw.

    Attributes:
        height, width: of the canvas, in pixels.
        side: of the placed digit, in pixels.
        slant: horizontal shear, in 256ths.
        ink: brightest value of a full stroke, in 256ths.
        fragments: distractors on each canvas.
        fragment: side of the piece cut from a base image, in its pixels.
        noise: largest value added to or taken from a pixel.
    """

    height: int
    width: int
    side: tuple[int, int]
    slant: tuple[int, int]
    ink: tuple[int, int]
    fragments: int
    fragment: tuple[int, int]
    noise: int


def draw(bases: Pixels, chosen: Integers, clutter: Clutter, seed: bytes) -> Pixels:
    """Draw one canvas for each chosen base image.

    Args:
        bases: (K, 8, 8) uint8, 0..16; also where fragments are cut from.
        chosen: (N,) which base image each canvas shows.
        clutter: the difficulty.
        seed: any bytes; canvas i depends on `chosen[i]` and the draws of row i only.

    Returns:
        (N, height, width) uint8.
    """
    count = len(chosen)
    canvas = np.empty((count, clutter.height, clutter.width), dtype=np.uint8)
    digits = _placements(seed, "digit", count, clutter, inside=True)
    numbers = range(clutter.fragments)
    fragments = [_placements(seed, f"fragment/{number}", count, clutter, inside=False) for number in numbers]
    pieces = [_pieces(bases, seed, f"piece/{number}", count, clutter) for number in numbers]
    noise = dice.integers(seed, "noise", canvas.shape, -clutter.noise, clutter.noise).astype(np.int32)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        picture = place(bases[chosen[part]], digits[part], clutter.height, clutter.width)
        for piece, placement in zip(pieces, fragments, strict=True):
            picture = np.maximum(picture, place(piece[part], placement[part], clutter.height, clutter.width))
        canvas[part] = np.clip(picture + noise[part], 0, 255)
    return canvas


def place(images: Pixels, placements: Integers, height: int, width: int) -> NDArray[np.int32]:
    """Scale, slant and shift images onto empty canvases, bilinearly, in 8-bit fixed point.

    Args:
        images: (N, 8, 8) uint8, 0..16.
        placements: (N, 5) int64: side, top and left in pixels, slant and ink in 256ths.
        height, width: of the canvas.

    Returns:
        (N, height, width) int32, 0..255.
    """
    side, top, left, slant, ink = (column[:, None].astype(np.int32) for column in placements.T)
    step = BASE * ONE // side
    rows = ((2 * (np.arange(height, dtype=np.int32) - top) + 1) * step >> 1) - ONE // 2
    columns = ((2 * (np.arange(width, dtype=np.int32) - left) + 1) * step >> 1) - ONE // 2
    shift = (rows - (BASE - 1) * ONE // 2) * slant >> 8
    y = np.broadcast_to(np.clip(rows, -ONE, BASE * ONE)[:, :, None], (len(images), height, width))
    x = np.clip(columns[:, None, :] + shift[:, :, None], -ONE, BASE * ONE)
    framed = np.pad(images, ((0, 0), (1, 2), (1, 2))).astype(np.int32)
    stride = framed.shape[1]
    corner = (y >> 8) * stride + (x >> 8) + stride + 1
    corner += (np.arange(len(images), dtype=np.int32) * stride * stride)[:, None, None]
    flat = framed.ravel()
    low, right = y & 255, x & 255
    upper = flat[corner] * (ONE - right) + flat[corner + 1] * right
    lower = flat[corner + stride] * (ONE - right) + flat[corner + stride + 1] * right
    strokes = upper * (ONE - low) + lower * low
    result: NDArray[np.int32] = (strokes >> 12) * (ink[:, :, None] - 1) >> 8
    return result


def _placements(seed: bytes, label: str, count: int, clutter: Clutter, inside: bool) -> Integers:
    """Draw (count, 5) placements; a digit lies inside its canvas, a fragment may be cut by the edge."""
    side = dice.integers(seed, f"{label}/side", count, *clutter.side)
    margin = 0 if inside else BASE // 2
    room = np.stack([clutter.height - side, clutter.width - side], axis=1) + 2 * margin
    corner = (dice.integers(seed, f"{label}/corner", (count, 2), 0, 2**24 - 1) * (room + 1) >> 24) - margin
    slant = dice.integers(seed, f"{label}/slant", count, *clutter.slant)
    ink = dice.integers(seed, f"{label}/ink", count, *clutter.ink)
    return np.stack([side, corner[:, 0], corner[:, 1], slant, ink], axis=1)


def _pieces(bases: Pixels, seed: bytes, label: str, count: int, clutter: Clutter) -> Pixels:
    """Cut a rectangle out of a random base image, count times; the rest of its 8x8 is empty."""
    chosen = dice.integers(seed, f"{label}/base", count, 0, len(bases) - 1)
    size = dice.integers(seed, f"{label}/size", (count, 2), *clutter.fragment)
    corner = dice.integers(seed, f"{label}/corner", (count, 2), 0, 2**24 - 1) * (BASE - size + 1) >> 24
    line = np.arange(BASE)
    rows, columns = ((line >= corner[:, axis, None]) & (line < (corner + size)[:, axis, None]) for axis in (0, 1))
    kept: Pixels = bases[chosen] * (rows[:, :, None] & columns[:, None, :])
    return kept
