"""Batch normalisation of feature maps."""

from __future__ import annotations

from compiler.fields import Op
from compiler.ops.feature_map import scale_and_shift

OP = Op(
    name="batchnorm",
    kind="image-norm",
    class_name="BatchNorm",
    about="Normalises every channel over the batch and the map; in evaluation by running averages.",
    paper="Ioffe & Szegedy 2015, arXiv:1502.03167",
    fields=(),
    cost=scale_and_shift,
)
