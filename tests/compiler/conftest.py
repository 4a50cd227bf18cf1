"""How the compiler's tests build what was rendered and let torch count it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, flop_registry

from aams.records import Interface

CONVOLUTION = torch.ops.aten.convolution_backward


@dataclass(frozen=True)
class Counted:
    """What torch says of one model, gradients in place, and of one item."""

    model: nn.Module
    parameters: int
    forward_flops: int
    training_flops: int


@pytest.fixture(scope="session")
def build() -> Callable[[str], nn.Module]:
    """Executes rendered source and constructs its model."""
    return _build


@pytest.fixture(scope="session")
def inputs() -> Callable[..., tuple[Tensor, ...]]:
    """Gives random inputs for a model: (interface, items, tokens of a language model)."""
    return _inputs


@pytest.fixture(scope="session")
def count() -> Callable[[str, Interface, int], Counted]:
    """Runs rendered source on the meta device and counts what it does: (source, interface, tokens)."""
    return _count


def _build(source: str) -> nn.Module:
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 our own source
    model: nn.Module = names["Model"]()
    return model


def _inputs(interface: Interface, items: int, tokens: int = 0) -> tuple[Tensor, ...]:
    images = torch.rand(items, interface.channels, interface.height, interface.width)
    words = torch.randint(max(1, interface.vocabulary), (items, tokens or interface.tokens))
    return {"language": (words,), "vision": (images,), "hybrid": (images, words)}[interface.domain]


def _count(source: str, interface: Interface, tokens: int) -> Counted:
    """On the meta device attention is the batched products it consists of, so that all of it is counted."""
    model = _build(source)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    model.to("meta")  # which parts what was tied
    batch = (each.to("meta") for each in _inputs(interface, 2, tokens))
    with _counter() as forward:
        outputs = model(*batch)
    with _counter() as backward:
        outputs.sum().backward()
    flops = forward.get_total_flops()
    return Counted(
        model,
        parameters,
        forward_flops=flops // 2,
        training_flops=(flops + backward.get_total_flops()) // 2,
    )


def _counter() -> FlopCounterMode:
    return FlopCounterMode(display=False, custom_mapping={CONVOLUTION: _gradients_of_convolution})


def _gradients_of_convolution(
    gradient: Any, x: Any, weight: Any, *rest: Any, out_shape: Any = None, **named: Any
) -> int:
    """A gradient of the input and one of the weight cost what the forward pass costs, each.

    torch counts the weight's as if there were no groups, which makes a depthwise convolution as dear as a full one;
    where there are none, this and torch must agree.
    """
    groups, wanted = rest[-2:]
    flops = conv_flop_count(x, weight, gradient) * sum(wanted[:2])
    if groups == 1:
        assert flops == flop_registry[CONVOLUTION](gradient, x, weight, *rest, out_val=out_shape, **named)
    return flops
