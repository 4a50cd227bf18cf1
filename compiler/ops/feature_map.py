"""What vision blocks have in common: the size of a map after a stride, and sizes that fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler.fields import Misfit, Place, Tally, Tree
from compiler.tally import vectors

ACTIVATIONS = ("relu", "gelu", "silu")


def shrunk(size: int, stride: int) -> int:
    """Rows or columns after a convolution of odd kernel, padded by half of it: rounded up, so never below 1."""
    return -(-size // stride)


def after_block(params: Tree, place: Place) -> Place:
    """The map that a block gives: `target` channels, its stride taken."""
    rows, columns = shrunk(place.rows, place.stride), shrunk(place.columns, place.stride)
    return replace(place, width=place.target, rows=rows, columns=columns, stride=1)


def resizes(place: Place) -> bool:
    """Whether a block's input can't just be added to its output."""
    return place.stride > 1 or place.width != place.target


def hidden_channels(params: Tree, place: Place) -> int:
    """Channels inside a block: ratio × the channels it gives, rounded to a multiple of 8."""
    channels: int = round(params["ratio"] * place.target / 8) * 8
    return max(8, channels)


def odd_kernel(params: Tree, place: Place) -> Iterator[Misfit]:
    """An even kernel, padded by half of it, would grow the map and shift it."""
    kernel = params["kernel"]
    if kernel % 2 == 0:
        yield Misfit("kernel", "must be odd", f"try {kernel - 1} or {kernel + 1}")


def scale_and_shift(params: Tree, place: Place) -> Tally:
    """What every norm of a map costs: two weights a channel."""
    return vectors(2 * place.width, place.rows * place.columns * place.width)
