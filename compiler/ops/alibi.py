"""Linear biases by distance, used inside attention."""

from __future__ import annotations

from compiler.fields import Op, Place, Tally, Tree


def _cost(params: Tree, place: Place) -> Tally:
    return Tally()


OP = Op(
    name="alibi",
    kind="position",
    class_name="Alibi",
    about="Lowers attention by distance, in each head at another rate; has an effect on attention only.",
    paper="Press et al. 2021, arXiv:2108.12409",
    fields=(),
    cost=_cost,
)
