"""The usual head of a classifier: pool the map, then one dense layer."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.fields import Choice, Op, Place, Tally, Tree
from compiler.tally import linear, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    return total(
        vectors(0, place.rows * place.columns * place.width + place.width),
        linear(place.width, place.classes, 1, bias=True, hidden=False),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield place


OP = Op(
    name="linear",
    kind="head",
    class_name="LinearHead",
    about="Norm, ReLU, pooling over the map, one dense layer.",
    paper="Lin et al. 2013, arXiv:1312.4400",
    fields=(Choice("pool", ("average", "max"), default="average"),),
    cost=_cost,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
