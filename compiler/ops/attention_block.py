"""A transformer block over a feature map: every point attends to every other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Float, Int, Misfit, Op, Place, Tally, Tree
from compiler.ops.feature_map import after_block, hidden_channels, resizes
from compiler.tally import convolution, products, total, vectors


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    if place.target % params["heads"]:
        yield Misfit("heads", f"must divide the stage's width={place.target}", "try 1, 2, 4 or 8")


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_channels(params, place)
    out = after_block(params, place)
    width, size, points = out.width, (out.rows, out.columns), out.rows * out.columns
    return total(
        convolution(place.width, width, 3, *size) if resizes(place) else Tally(),
        convolution(width, width, 3, *size, groups=width),
        convolution(width, 3 * width, 1, *size),
        products(4 * points * points * width, points * width),
        convolution(width, width, 1, *size),
        convolution(width, hidden, 1, *size),
        vectors(0, points * hidden),
        convolution(hidden, width, 1, *size),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield after_block(params, place)
    yield after_block(params, place)


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"heads": params["heads"], "hidden": hidden_channels(params, place)}


OP = Op(
    name="attention-block",
    kind="block",
    class_name="AttentionBlock",
    about="A depthwise convolution that tells points apart, self-attention over the map, then an MLP; each added.",
    paper="Dosovitskiy et al. 2020, arXiv:2010.11929; positions: Chu et al. 2021, arXiv:2102.10882",
    fields=(
        Int("heads", 1, 64, default=4, about="Must divide the stage's width."),
        Float("ratio", 0.5, 8.0, default=2.0, about="Hidden channels of the MLP as a multiple of the stage's width."),
    ),
    cost=_cost,
    check=_check,
    out=after_block,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
