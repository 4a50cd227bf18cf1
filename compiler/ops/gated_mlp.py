"""A dense layer gated by another one, then projected back (SwiGLU and its kin)."""

from __future__ import annotations

from compiler.fields import Choice, Float, Op, Place, Tally, Tree
from compiler.ops.mlp import ACTIVATIONS, hidden_width, rounded_ratio
from compiler.tally import linear, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_width(params, place)
    return total(
        linear(place.width, 2 * hidden, place.tokens),
        vectors(0, 2 * place.tokens * hidden),
        linear(hidden, place.width, place.tokens),
    )


OP = Op(
    name="gated-mlp",
    kind="channel",
    class_name="GatedMlp",
    about="A gate times a dense layer, then dense.",
    paper="Shazeer 2020, arXiv:2002.05202",
    fields=(
        Float("ratio", 0.25, 8.0, default=2.5, about="Hidden width as a multiple of width."),
        Choice("activation", ACTIVATIONS, default="silu"),
    ),
    cost=_cost,
    arguments=lambda params, place: {"hidden": hidden_width(params, place)},
    simplify=rounded_ratio,
)
