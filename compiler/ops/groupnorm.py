"""Group normalisation of feature maps."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.fields import Int, Misfit, Op, Place, Tree
from compiler.ops.feature_map import scale_and_shift


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    if place.width % params["groups"]:
        yield Misfit("groups", f"must divide the {place.width} channels it normalises", "try 1, 2, 4 or 8")


OP = Op(
    name="groupnorm",
    kind="image-norm",
    class_name="GroupNorm",
    about="Normalises groups of channels over the map of one image.",
    paper="Wu & He 2018, arXiv:1803.08494",
    fields=(Int("groups", 1, 64, default=8, about="Groups of channels; must divide every width it is used at."),),
    cost=scale_and_shift,
    check=_check,
    arguments=lambda params, place: {"groups": params["groups"]},
)
