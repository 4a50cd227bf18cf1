"""Layer normalisation of feature maps: the channels of every point."""

from __future__ import annotations

from compiler.fields import Op
from compiler.ops.feature_map import scale_and_shift

OP = Op(
    name="layernorm2d",
    kind="image-norm",
    class_name="LayerNorm2d",
    about="Normalises the channels of every point of the map.",
    paper="Ba et al. 2016, arXiv:1607.06450; on maps: Liu et al. 2022, arXiv:2201.03545",
    fields=(),
    cost=scale_and_shift,
)
