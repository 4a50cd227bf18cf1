"""Root-mean-square normalisation of every token."""

from __future__ import annotations

from compiler.fields import Choice, Op, Place, Tally, Tree
from compiler.tally import vectors

PLACEMENTS = ("pre", "post", "parallel")


def _cost(params: Tree, place: Place) -> Tally:
    return vectors(place.width, place.tokens * place.width)


OP = Op(
    name="rmsnorm",
    kind="norm",
    class_name="RmsNorm",
    about="Scales every token to unit root mean square.",
    paper="Zhang & Sennrich 2019, arXiv:1910.07467",
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
