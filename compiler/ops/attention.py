"""Causal self-attention over a sequence: multi-head, grouped or multi-query, optionally windowed and normed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compiler.fields import Flag, Int, Misfit, Op, Place, Same, Tally, Tree
from compiler.tally import linear, products, total, vectors


def _head_size(params: Tree, place: Place) -> int:
    return int(place.width // params["heads"])


def heads_must_divide(params: Tree, place: Place) -> Iterator[Misfit]:
    """Every head gets an equal share of the width."""
    if place.width % params["heads"]:
        fitting = [heads for heads in range(1, 65) if place.width % heads == 0]
        nearest = sorted(sorted(fitting, key=lambda heads: abs(heads - params["heads"]))[:2])
        yield Misfit("heads", f"must divide width={place.width}", "try " + " or ".join(map(str, nearest)))


def _check(params: Tree, place: Place) -> Iterator[Misfit]:
    heads, size = params["heads"], _head_size(params, place)
    yield from heads_must_divide(params, place)
    if place.width % heads == 0 and size % 2 and place.position and place.position["op"] == "rope":
        yield Misfit("heads", f"rope needs an even head size, width={place.width} gives {size}", "use half as many")
    if heads % params["kv_heads"]:
        yield Misfit("kv_heads", f"must divide heads={heads}", "use 1, or as many as heads")


def _cost(params: Tree, place: Place) -> Tally:
    rows = place.tokens * place.width
    shared = params["kv_heads"] * _head_size(params, place)
    return total(
        linear(place.width, place.width + 2 * shared, place.tokens),
        vectors(0, 2 * rows if params["qk_norm"] else 0),
        products(4 * place.tokens * rows, 2 * rows),
        linear(place.width, place.width, place.tokens),
    )


def _arguments(params: Tree, place: Place) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {"heads": params["heads"]}
    if params["kv_heads"] != params["heads"]:
        arguments["kv_heads"] = params["kv_heads"]
    if (place.position and place.position["op"] in ("rope", "alibi")) or params["window"]:
        arguments["context"] = place.tokens
    if params["window"]:
        arguments["window"] = params["window"]
    return arguments


def _uses(params: Tree, place: Place) -> Mapping[str, tuple[str, Tree]]:
    if place.position and place.position["op"] in ("rope", "alibi"):
        return {"position": ("position", place.position)}
    return {}


def _simplify(params: Tree, place: Place) -> Tree:
    if params["window"] and 0 < place.tokens <= params["window"]:
        return {**params, "window": None}
    return params


OP = Op(
    name="attention",
    kind="mixer",
    class_name="Attention",
    about="Causal softmax attention; kv_heads below heads shares keys and values between heads.",
    paper="Vaswani et al. 2017, arXiv:1706.03762; GQA: arXiv:2305.13245; QK-norm: arXiv:2010.04245",
    fields=(
        Int("heads", 1, 64, about="Query heads; must divide width."),
        Int("kv_heads", 1, 64, default=Same("heads"), about="Key and value heads; must divide heads."),
        Int("window", 8, 4096, default=None, about="Attend to at most this many tokens back; absent: to all."),
        Flag("qk_norm", default=False, about="RMS-normalise queries and keys per head."),
    ),
    cost=_cost,
    check=_check,
    arguments=_arguments,
    uses=_uses,
    simplify=_simplify,
)
