"""Fusion by cross-attention: between its blocks, the question looks at the points of the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Int, Misfit, Op, Place, Tally, Tree
from compiler.tally import linear, products, times, total, vectors


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    if place.target % params["heads"]:
        yield Misfit("heads", f"must divide the language width={place.target}", "try 1, 2, 4 or 8")
    if params["every"] > place.depth:
        yield Misfit("every", f"must not exceed the {place.depth} language blocks", "try 1")


def _layers(params: Tree, place: Place) -> int:
    return int(place.depth // params["every"])


def _cost(params: Tree, place: Place) -> Tally:
    points, width, tokens = place.rows * place.columns, place.target, place.tokens
    layer = total(
        vectors(width, tokens * width),
        linear(width, width, tokens),
        linear(width, 2 * width, points),
        products(4 * tokens * points * width, tokens * width),
        linear(width, width, tokens),
    )
    return total(
        linear(place.width, width, points, bias=True),
        vectors(points * width, points * width),
        times(layer, _layers(params, place)),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield place


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    points = place.rows * place.columns
    return {"points": points, "heads": params["heads"], "layers": _layers(params, place), "every": params["every"]}


OP = Op(
    name="cross-attention",
    kind="fusion",
    class_name="CrossFusion",
    about="After every few language blocks the question's tokens attend to the image's points.",
    paper="Alayrac et al. 2022, arXiv:2204.14198",
    fields=(
        Int("heads", 1, 64, default=4, about="Must divide the language width."),
        Int("every", 1, 64, default=1, about="Language blocks from one look to the next."),
    ),
    cost=_cost,
    check=_check,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
