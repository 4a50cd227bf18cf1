"""A causal depthwise convolution between two dense layers: every feature looks back a few tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Flag, Int, Misfit, Op, Place, Tally, Tree
from compiler.tally import linear, total


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    if params["kernel"] > place.tokens:
        yield Misfit(
            "kernel", f"must not be longer than the sequence, {place.tokens} tokens", f"use at most {place.tokens}"
        )


def _cost(params: Tree, place: Place) -> Tally:
    rows = place.tokens * place.width
    filters = place.width * params["kernel"]
    flops = 2 * place.tokens * filters
    return total(
        linear(place.width, 3 * place.width if params["gated"] else place.width, place.tokens),
        Tally(filters, flops, 2 * flops, (4 if params["gated"] else 2) * rows),
        linear(place.width, place.width, place.tokens),
    )


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    return {"kernel": params["kernel"]}


OP = Op(
    name="causal-conv",
    kind="mixer",
    class_name="CausalConv",
    about="Depthwise convolution over the last few tokens, gated on both sides or followed by SiLU.",
    paper="Gated: LFM2, Liquid AI 2025, arXiv:2511.23404; H3: Fu et al. 2022, arXiv:2212.14052",
    fields=(
        Int("kernel", 2, 64, default=4, about="Tokens it sees: this one and those before it."),
        Flag("gated", default=True, about="Multiply by a gate before and after; false: SiLU after."),
    ),
    cost=_cost,
    check=_check,
    arguments=_arguments,
)
