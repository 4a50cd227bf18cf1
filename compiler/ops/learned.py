"""A learned vector for every position, added to the embedding."""

from __future__ import annotations

from compiler.fields import Op, Place, Tally, Tree
from compiler.tally import vectors


def _cost(params: Tree, place: Place) -> Tally:
    return vectors(place.tokens * place.width, 0)


OP = Op(
    name="learned",
    kind="position",
    class_name="LearnedPosition",
    about="Adds a learned vector for every position.",
    paper="Radford et al. 2018, Improving Language Understanding by Generative Pre-Training",
    fields=(),
    cost=_cost,
)
