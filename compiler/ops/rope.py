"""Rotary position embedding, used inside attention."""

from __future__ import annotations

from compiler.fields import Float, Op, Place, Tally, Tree


def _cost(params: Tree, place: Place) -> Tally:
    return Tally()


OP = Op(
    name="rope",
    kind="position",
    class_name="Rotary",
    about="Rotates queries and keys by their position; has an effect on attention only.",
    paper="Su et al. 2021, arXiv:2104.09864",
    fields=(Float("base", 100.0, 1_000_000.0, default=10_000.0, about="Longest wavelength, in radians."),),
    cost=_cost,
    arguments=lambda params, place: {"base": params["base"]},
)
