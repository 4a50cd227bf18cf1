"""Integers that are the same on every machine, drawn from a seed of bytes.

Takes a seed and a label, gives integers and permutations. SHAKE-256 (FIPS 202) is the stream, so neither a library's
version nor a platform's arithmetic can change a draw; a label names what is drawn, so adding a draw shifts no other,
and drawing more items leaves the first ones as they were. Never keeps a state.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def integers(seed: bytes, label: str, shape: int | tuple[int, ...], low: int, high: int) -> Integers:
    """Draw integers from `low` to `high`, both included.

    Thirty-two bits a draw, mapped by multiply and shift: the bias is below (high - low + 1) / 2**32.

    Args:
        seed: any bytes.
        label: what is drawn; another label is another, independent stream.
        shape: of the result, filled row by row.
        low, high: bounds within 31 bits.

    Returns:
        int64 of that shape.
    """
    count = shape if isinstance(shape, int) else math.prod(shape)
    words = np.frombuffer(_stream(seed, label, 4 * count), dtype="<u4").astype(np.uint64)
    drawn = (words * np.uint64(high - low + 1)) >> np.uint64(32)
    return drawn.astype(np.int64).reshape(shape) + low


def permutation(seed: bytes, label: str, count: int) -> Integers:
    """Order 0 .. count - 1 by 64 random bits each; a tie, at one in 2**64 a pair, keeps the lower number first."""
    keys = np.frombuffer(_stream(seed, label, 8 * count), dtype="<u8")
    return np.argsort(keys, kind="stable").astype(np.int64)


def deal(seed: bytes, label: str, cards: int, count: int) -> Integers:
    """Deal `count` numbers below `cards`, evenly: every one comes up before any comes up again.

    Returns:
        (count,) int64.
    """
    rounds = -(-count // cards)
    decks = [permutation(seed, f"{label}/{number}", cards) for number in range(rounds)]
    return np.concatenate(decks)[:count]


def derive(seed: bytes, label: str) -> bytes:
    """Derive an independent seed of 32 bytes."""
    return _stream(seed, f"seed/{label}", 32)


def _stream(seed: bytes, label: str, size: int) -> bytes:
    return hashlib.shake_256(hashlib.sha256(seed).digest() + label.encode("ascii")).digest(size)
