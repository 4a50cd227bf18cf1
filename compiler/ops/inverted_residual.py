"""The inverted residual block of MobileNets: wide inside, mixing points one channel at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compiler.fields import Choice, Int, Op, Place, Tally, Tree
from compiler.ops.feature_map import ACTIVATIONS, after_block, odd_kernel, resizes
from compiler.tally import convolution, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    hidden = params["expansion"] * place.width
    out = after_block(params, place)
    size = (out.rows, out.columns)
    return total(
        convolution(place.width, hidden, 1, place.rows, place.columns),
        vectors(0, place.rows * place.columns * hidden),
        convolution(hidden, hidden, params["kernel"], *size, groups=hidden),
        vectors(0, out.rows * out.columns * hidden),
        _squeeze_cost(params, hidden, out),
        convolution(hidden, out.width, 1, *size),
        convolution(place.width, out.width, 1, *size) if resizes(place) else Tally(),
    )


def _squeeze_cost(params: Tree, hidden: int, out: Place) -> Tally:
    if not params["squeeze"]:
        return Tally()
    squeezed = max(1, hidden // params["squeeze"])
    return total(
        convolution(hidden, squeezed, 1, 1, 1, bias=True),
        convolution(squeezed, hidden, 1, 1, 1, bias=True),
        vectors(0, out.rows * out.columns * hidden),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    hidden = params["expansion"] * place.width
    out = after_block(params, place)
    yield replace(place, width=hidden)
    yield replace(out, width=hidden)
    yield out


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {name: params[name] for name in ("expansion", "kernel", "squeeze") if params[name] is not None}


OP = Op(
    name="inverted-residual",
    kind="block",
    class_name="InvertedResidual",
    about="Expand, depthwise convolution, optional squeeze-and-excitation, project; added to the input.",
    paper="Sandler et al. 2018, arXiv:1801.04381; squeeze: Hu et al. 2018, arXiv:1709.01507",
    fields=(
        Int("expansion", 1, 8, default=4, about="Hidden channels as a multiple of the channels that come in."),
        Int("kernel", 3, 11, default=3, about="Rows and columns of the depthwise kernel; odd."),
        Int("squeeze", 1, 32, default=None, about="Gate channels through hidden / squeeze features; absent: don't."),
        Choice("activation", ACTIVATIONS, default="relu"),
    ),
    cost=_cost,
    check=odd_kernel,
    out=after_block,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
