"""The bottleneck block of a pre-activation ResNet, with groups a ResNeXt's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from compiler.fields import Choice, Float, Int, Misfit, Op, Place, Tally, Tree
from compiler.ops.feature_map import ACTIVATIONS, after_block, hidden_channels, resizes
from compiler.tally import convolution, total, vectors


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    hidden = hidden_channels(params, place)
    if hidden % params["groups"]:
        yield Misfit("groups", f"must divide the {hidden} hidden channels", "try 1, 2, 4 or 8")


def _cost(params: Tree, place: Place) -> Tally:
    hidden = hidden_channels(params, place)
    out = after_block(params, place)
    size = (out.rows, out.columns)
    return total(
        *(vectors(0, inside.rows * inside.columns * inside.width) for inside in _norms(params, place)),
        convolution(place.width, hidden, 1, place.rows, place.columns),
        convolution(hidden, hidden, 3, *size, groups=params["groups"]),
        convolution(hidden, out.width, 1, *size),
        convolution(place.width, out.width, 1, *size) if resizes(place) else Tally(),
    )


def _norms(params: Tree, place: Place) -> Iterator[Place]:
    hidden = hidden_channels(params, place)
    yield place
    yield replace(place, width=hidden)
    yield replace(after_block(params, place), width=hidden)


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    hidden = {"hidden": hidden_channels(params, place)}
    return {**hidden, "groups": params["groups"]} if params["groups"] > 1 else hidden


OP = Op(
    name="bottleneck",
    kind="block",
    class_name="Bottleneck",
    about="Convolutions of 1 x 1, 3 x 3 and 1 x 1 through few channels, each after norm and activation; added.",
    paper="He et al. 2016, arXiv:1603.05027; groups: Xie et al. 2017, arXiv:1611.05431",
    fields=(
        Float("ratio", 0.125, 2.0, default=0.5, about="Hidden channels as a multiple of the stage's width."),
        Int("groups", 1, 64, default=1, about="Groups of the 3 x 3 convolution; must divide the hidden channels."),
        Choice("activation", ACTIVATIONS, default="relu"),
    ),
    cost=_cost,
    check=_check,
    out=after_block,
    arguments=_arguments,
    uses=lambda params, place: {"norm": ("image-norm", place.norm or {})},
    norms=_norms,
)
