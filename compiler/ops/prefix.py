"""Fusion by prefix: the points of the image become tokens before the question's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compiler.fields import Op, Place, Tally, Tree
from compiler.tally import linear, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    points = place.rows * place.columns
    return total(
        linear(place.width, place.target, points, bias=True),
        vectors(points * place.target, (points + place.tokens) * place.target),
    )


def _out(params: Tree, place: Place) -> Place:
    return replace(place, tokens=place.rows * place.columns + place.tokens)


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield place


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"points": place.rows * place.columns}


OP = Op(
    name="prefix",
    kind="fusion",
    class_name="Prefix",
    about="Image tokens stand before the question; the blocks read both.",
    paper="Tsimpoukelli et al. 2021, arXiv:2106.13884",
    fields=(),
    cost=_cost,
    out=_out,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
