"""Layer normalisation of every token."""

from __future__ import annotations

from compiler.fields import Choice, Op, Place, Tally, Tree
from compiler.ops.rmsnorm import PLACEMENTS
from compiler.tally import vectors


def _cost(params: Tree, place: Place) -> Tally:
    return vectors(2 * place.width, place.tokens * place.width)


OP = Op(
    name="layernorm",
    kind="norm",
    class_name="LayerNorm",
    about="Centres every token and scales it to unit variance.",
    paper="Ba et al. 2016, arXiv:1607.06450",
    fields=(
        Choice(
            "placement",
            PLACEMENTS,
            default="pre",
            about="pre: before each half; post: after each sum; parallel: one norm, both halves side by side.",
        ),
    ),
    cost=_cost,
)
