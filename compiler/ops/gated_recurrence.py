"""A gated linear recurrence: every feature is a leaky memory whose leak the token sets."""

from __future__ import annotations

from compiler.fields import Float, Op, Place, Tally, Tree
from compiler.ops.mlp import hidden_width, rounded_ratio
from compiler.tally import linear, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_width(params, place)
    return total(
        linear(place.width, 3 * hidden, place.tokens),
        vectors(hidden, 6 * place.tokens * hidden),
        linear(hidden, place.width, place.tokens),
    )


OP = Op(
    name="gated-recurrence",
    kind="mixer",
    class_name="GatedRecurrence",
    about="Linear recurrence with input-dependent decay, computed by a parallel scan.",
    paper="minGRU: Feng et al. 2024, arXiv:2410.01201; RG-LRU: De et al. 2024, arXiv:2402.19427",
    fields=(Float("ratio", 0.25, 4.0, default=1.0, about="Features of the state as a multiple of width."),),
    cost=_cost,
    arguments=lambda params, place: {"hidden": hidden_width(params, place)},
    simplify=rounded_ratio,
)
