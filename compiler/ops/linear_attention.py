"""Linear attention with decay: every head keeps one matrix of keys times values that fades, worked on in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Choice, Int, Misfit, Op, Place, Tally, Tree
from compiler.ops.attention import heads_must_divide
from compiler.tally import linear, products, total, vectors

CHUNK = 32
"""Tokens that attend to each other directly; the rest goes through the state. Changes the speed, not the function."""


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    return heads_must_divide(params, place)


def _cost(params: Tree, place: Place) -> Tally:
    width, heads, tokens = place.width, params["heads"], place.tokens
    size = width // heads
    chunk = min(CHUNK, tokens)
    rows = -(-tokens // chunk) * chunk if chunk else 0
    inside = products(4 * rows * chunk * width, 2 * rows * chunk * heads)
    across = products(4 * rows * size * width, 3 * rows * width) if rows > chunk else Tally()
    forget = total(linear(width, heads, rows, bias=True)) if params["decay"] == "gated" else Tally()
    return total(
        linear(width, 4 * width, rows),
        forget,
        inside,
        across,
        vectors(0, 2 * rows * width),
        linear(width, width, tokens),
    )


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"heads": params["heads"], "chunk": CHUNK}


OP = Op(
    name="linear-attention",
    kind="mixer",
    class_name="LinearAttention",
    about="Attention without softmax whose past fades, at a learned or a fixed rate per head.",
    paper="fixed: RetNet, Sun et al. 2023, arXiv:2307.08621; gated: Mamba-2, Dao & Gu 2024, arXiv:2405.21060",
    fields=(
        Int("heads", 1, 64, about="Heads; must divide width."),
        Choice("decay", ("gated", "fixed"), default="gated", about="gated: each token says how much to forget."),
    ),
    cost=_cost,
    check=_check,
    arguments=_arguments,
)
