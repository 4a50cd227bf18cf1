"""A stem that turns patches that don't overlap into points of the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler.fields import Int, Misfit, Op, Place, Tally, Tree
from compiler.tally import convolution


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    patch = params["patch"]
    if place.rows % patch or place.columns % patch:
        fitting = [size for size in range(1, 17) if place.rows % size == 0 == place.columns % size]
        size = f"{place.rows} x {place.columns}"
        yield Misfit("patch", f"must divide the image's {size}", "try " + " or ".join(map(str, fitting[-3:])))


def _out(params: Tree, place: Place) -> Place:
    patch = params["patch"]
    return replace(place, width=params["width"], rows=place.rows // patch, columns=place.columns // patch)


def _cost(params: Tree, place: Place) -> Tally:
    out = _out(params, place)
    return convolution(place.width, out.width, params["patch"], out.rows, out.columns, bias=True, first=True)


OP = Op(
    name="patchify",
    kind="stem",
    class_name="Patchify",
    about="A dense layer on every patch.",
    paper="Dosovitskiy et al. 2020, arXiv:2010.11929",
    fields=(
        Int("width", 4, 512, multiple=4, about="Channels it gives."),
        Int("patch", 1, 16, default=4, about="Rows and columns of a patch; must divide the image's."),
    ),
    cost=_cost,
    check=_check,
    out=_out,
    arguments=lambda params, place: {"patch": params["patch"]},
)
