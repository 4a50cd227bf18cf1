"""The ConvNeXt block: a wide depthwise convolution, then a perceptron at every point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Float, Int, Op, Place, Tally, Tree
from compiler.ops.feature_map import after_block, hidden_channels, odd_kernel, resizes
from compiler.tally import convolution, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_channels(params, place)
    out = after_block(params, place)
    width, size = out.width, (out.rows, out.columns)
    return total(
        convolution(place.width, width, 3, *size) if resizes(place) else Tally(),
        convolution(width, width, params["kernel"], *size, groups=width),
        convolution(width, hidden, 1, *size),
        vectors(0, out.rows * out.columns * hidden),
        convolution(hidden, width, 1, *size),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield after_block(params, place)


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"hidden": hidden_channels(params, place), "kernel": params["kernel"]}


OP = Op(
    name="convnext",
    kind="block",
    class_name="ConvNext",
    about="Wide depthwise convolution, norm, dense, GELU, dense; added to the input.",
    paper="Liu et al. 2022, arXiv:2201.03545",
    fields=(
        Float("ratio", 0.5, 8.0, default=4.0, about="Hidden channels as a multiple of the stage's width."),
        Int("kernel", 3, 11, default=7, about="Rows and columns of the depthwise kernel; odd."),
    ),
    cost=_cost,
    check=odd_kernel,
    out=after_block,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
