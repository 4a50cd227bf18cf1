"""The basic block of a pre-activation ResNet."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.fields import Choice, Op, Place, Tally, Tree
from compiler.ops.feature_map import ACTIVATIONS, after_block, resizes
from compiler.tally import convolution, total, vectors


def _cost(params: Tree, place: Place) -> Tally:
    out = after_block(params, place)
    size = (out.rows, out.columns)
    return total(
        vectors(0, place.rows * place.columns * place.width),
        convolution(place.width, out.width, 3, *size),
        vectors(0, out.rows * out.columns * out.width),
        convolution(out.width, out.width, 3, *size),
        convolution(place.width, out.width, 1, *size) if resizes(place) else Tally(),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    yield place
    yield after_block(params, place)


OP = Op(
    name="basic",
    kind="block",
    class_name="BasicBlock",
    about="Two 3 x 3 convolutions, each after norm and activation, added to the input.",
    paper="He et al. 2016, arXiv:1603.05027",
    fields=(Choice("activation", ACTIVATIONS, default="relu"),),
    cost=_cost,
    out=after_block,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
