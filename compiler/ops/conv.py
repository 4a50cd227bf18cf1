"""A stem of one convolution, optionally followed by max pooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compiler.fields import Flag, Int, Op, Place, Tally, Tree
from compiler.ops.feature_map import odd_kernel, shrunk
from compiler.tally import convolution, total, vectors


def _convolved(params: Tree, place: Place) -> tuple[int, int]:
    return shrunk(place.rows, params["stride"]), shrunk(place.columns, params["stride"])


def _out(params: Tree, place: Place) -> Place:
    rows, columns = _convolved(params, place)
    pool = 2 if params["pool"] else 1
    return replace(place, width=params["width"], rows=shrunk(rows, pool), columns=shrunk(columns, pool))


def _cost(params: Tree, place: Place) -> Tally:
    out = _out(params, place)
    return total(
        convolution(place.width, params["width"], params["kernel"], *_convolved(params, place), first=True),
        vectors(0, out.rows * out.columns * out.width if params["pool"] else 0),
    )


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {name: params[name] for name in ("kernel", "stride") if name == "kernel" or params[name] > 1}


OP = Op(
    name="conv",
    kind="stem",
    class_name="ConvStem",
    about="One convolution without norm or nonlinearity: the blocks begin with theirs.",
    paper="He et al. 2016, arXiv:1603.05027",
    fields=(
        Int("width", 4, 512, multiple=4, about="Channels it gives."),
        Int("kernel", 1, 11, default=3, about="Rows and columns of the kernel; odd."),
        Int("stride", 1, 4, default=1, about="Shrinks the map."),
        Flag("pool", default=False, about="3 x 3 max pooling of stride 2 after it."),
    ),
    cost=_cost,
    check=odd_kernel,
    out=_out,
    arguments=_arguments,
)
