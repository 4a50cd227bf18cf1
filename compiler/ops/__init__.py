"""The search space: every op that a spec may name, by kind and name.

Adding one is one declaration and one template in this folder, one line here, and one golden file.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from compiler import recipe
from compiler.fields import Op
from compiler.ops import (
    alibi,
    attention,
    attention_block,
    basic,
    batchnorm,
    bottleneck,
    causal_conv,
    conv,
    convnext,
    cross_attention,
    film,
    gated_mlp,
    gated_recurrence,
    groupnorm,
    inverted_residual,
    layernorm,
    layernorm2d,
    learned,
    linear,
    linear_attention,
    mlp,
    no_position,
    patchify,
    prefix,
    rmsnorm,
    rope,
)

ALL: tuple[Op, ...] = (
    attention.OP,
    gated_recurrence.OP,
    linear_attention.OP,
    causal_conv.OP,
    mlp.OP,
    gated_mlp.OP,
    rmsnorm.OP,
    layernorm.OP,
    no_position.OP,
    learned.OP,
    rope.OP,
    alibi.OP,
    conv.OP,
    patchify.OP,
    basic.OP,
    bottleneck.OP,
    inverted_residual.OP,
    convnext.OP,
    attention_block.OP,
    batchnorm.OP,
    groupnorm.OP,
    layernorm2d.OP,
    linear.OP,
    prefix.OP,
    cross_attention.OP,
    film.OP,
    *recipe.OPS,
)


def _by_kind() -> Mapping[str, Mapping[str, Op]]:
    kinds: dict[str, dict[str, Op]] = {}
    for op in ALL:
        kinds.setdefault(op.kind, {})[op.name] = op
    return MappingProxyType({kind: MappingProxyType(ops) for kind, ops in kinds.items()})


OPS: Mapping[str, Mapping[str, Op]] = _by_kind()
