"""Two dense layers with a nonlinearity between, applied to every token alone."""

from __future__ import annotations

from compiler.fields import Choice, Float, Op, Place, Tally, Tree
from compiler.tally import linear, total, vectors

ACTIVATIONS = ("gelu", "relu2", "silu")


def hidden_width(params: Tree, place: Place) -> int:
    """Hidden features: ratio × width, rounded to a multiple of 8."""
    ratio: float = params["ratio"]
    return max(8, round(ratio * place.width / 8) * 8)


def rounded_ratio(params: Tree, place: Place) -> Tree:
    """Ratios that give the same number of hidden features are the same ratio."""
    return {**params, "ratio": hidden_width(params, place) / place.width}


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_width(params, place)
    return total(
        linear(place.width, hidden, place.tokens),
        vectors(0, place.tokens * hidden),
        linear(hidden, place.width, place.tokens),
    )


OP = Op(
    name="mlp",
    kind="channel",
    class_name="Mlp",
    about="Dense, nonlinearity, dense.",
    paper="relu2: So et al. 2021, arXiv:2109.08668; gelu: arXiv:1606.08415; silu: arXiv:1702.03118",
    fields=(
        Float("ratio", 0.25, 8.0, default=4.0, about="Hidden width as a multiple of width."),
        Choice("activation", ACTIVATIONS, default="gelu"),
    ),
    cost=_cost,
    arguments=lambda params, place: {"hidden": hidden_width(params, place)},
    simplify=rounded_ratio,
)
