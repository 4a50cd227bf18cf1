"""Fusion by feature-wise linear modulation: the question scales and shifts the channels of the image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Choice, Op, Place, Tally, Tree
from compiler.tally import convolution, linear, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    points = place.rows * place.columns
    return total(
        linear(place.target, 2 * place.width, 1, bias=True),
        vectors(points * place.width, 3 * points * place.width + place.width),
        convolution(place.width, place.width, 1, place.rows, place.columns),
        linear(place.width, place.target, 1, bias=True),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield place


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"rows": place.rows, "columns": place.columns}


OP = Op(
    name="film",
    kind="fusion",
    class_name="Film",
    about="The question scales and shifts every channel of the image, which is then pooled and added to it.",
    paper="Perez et al. 2018, arXiv:1709.07871",
    fields=(Choice("pool", ("average", "max"), default="max"),),
    cost=_cost,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
