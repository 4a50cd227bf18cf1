"""No position information: the order of tokens shows only through causality."""

from __future__ import annotations

from compiler.fields import Op, Place, Tally, Tree


def _cost(params: Tree, place: Place) -> Tally:
    return Tally()


OP = Op(
    name="none",
    kind="position",
    class_name="",
    about="No position embedding.",
    paper="Haviv et al. 2022, arXiv:2203.16634",
    fields=(),
    cost=_cost,
)
