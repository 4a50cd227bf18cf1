"""What the mixers compute, against the plain definition of each, token by token in double precision."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aams.records import Interface
from compiler import render
from compiler.spec import from_tree

INTERFACE = Interface("language", 256, 256, 0, 0, 0, 256)
WIDTH = 24


def names(
    mixer: dict[str, Any], position: str = "none", channel: Mapping[str, Any] = MappingProxyType({"op": "mlp"})
) -> dict[str, Any]:
    """Everything the rendered source of a one-block model defines."""
    tree = {
        "schema_version": 1,
        "domain": "language",
        "model": {
            "width": WIDTH,
            "context": 80,
            "position": {"op": position},
            "blocks": [{"mixer": mixer, "channel": dict(channel)}],
        },
        "training": {"optimizer": {"op": "sgd", "lr": 0.1}, "batch_tokens": 80},
    }
    found: dict[str, Any] = {}
    exec(render.render(from_tree(tree), INTERFACE), found)  # noqa: S102 our own source
    return found


def mixer_of(mixer: dict[str, Any], position: str = "none", scale: float = 0.5) -> nn.Module:
    """The mixer of that model in double precision, every weight random."""
    torch.manual_seed(0)
    module: nn.Module = names(mixer, position)["Model"]().double().blocks[0].mixer
    for weight in module.parameters():
        nn.init.normal_(weight, std=scale)
    return module


def tokens(time: int) -> Tensor:
    return torch.randn(2, time, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(time))


@pytest.mark.parametrize("time", [1, 2, 3, 16, 17, 80])
def test_the_scan_is_the_recurrence_forward_and_backward(time: int) -> None:
    scan = names({"op": "gated-recurrence"})["Scan"]
    torch.manual_seed(time)
    decay = torch.rand(2, time, 3, dtype=torch.float64).requires_grad_()
    value = torch.randn(2, time, 3, dtype=torch.float64).requires_grad_()
    states = [value[:, 0]]
    for t in range(1, time):
        states.append(decay[:, t] * states[-1] + value[:, t])
    expected, state = torch.stack(states, dim=1), scan.apply(decay, value)
    torch.testing.assert_close(state, expected)
    gradient = torch.randn_like(state)
    wanted = torch.autograd.grad(expected, (decay, value), gradient, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(torch.autograd.grad(state, (decay, value), gradient), wanted)


def test_hand_written_gradients_are_those_of_the_plain_formula() -> None:
    found = names({"op": "attention", "heads": 4, "qk_norm": True})
    squared = names({"op": "attention", "heads": 4}, channel={"op": "mlp", "activation": "relu2"})["SquaredRelu"]
    x = (3 * tokens(7).view(2, 7, 4, -1).transpose(1, 2)).requires_grad_()  # strided, like q and k
    weight = torch.rand(x.shape[-1], dtype=torch.float64).requires_grad_()

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return found["unit"](x, weight, eps=0.5)  # type: ignore[no-any-return]

    assert torch.autograd.gradcheck(norm, (x, weight))
    assert torch.autograd.gradcheck(squared.apply, (x,))
    for got, wanted in (
        (norm(x, weight), F.rms_norm(x, x.shape[-1:], weight, 0.5)),
        (found["unit"](x), F.rms_norm(x, x.shape[-1:])),
        (squared.apply(x), F.relu(x).square()),
    ):
        torch.testing.assert_close(got, wanted)
        gradient = torch.randn_like(got)
        torch.testing.assert_close(
            torch.autograd.grad(got, x, gradient, retain_graph=True),
            torch.autograd.grad(wanted, x, gradient, retain_graph=True),
        )


@pytest.mark.parametrize("decay", ["gated", "fixed"])
@pytest.mark.parametrize("time", [1, 31, 32, 33, 80])
def test_linear_attention_is_a_matrix_that_fades_and_learns_a_token_at_a_time(decay: str, time: int) -> None:
    heads, size = 3, WIDTH // 3
    mixer = mixer_of({"op": "linear-attention", "heads": heads, "decay": decay})
    x = tokens(time)
    q, k, v, gate = mixer.project_in(x).view(2, time, 4, heads, size).unbind(2)
    keep = torch.sigmoid(mixer.keep(x)) if decay == "gated" else mixer.keep.exp().expand(2, time, heads)
    state = torch.zeros(2, heads, size, size, dtype=torch.float64)
    outputs = []
    for t in range(time):
        state = state * keep[:, t, :, None, None] + k[:, t, :, :, None] * v[:, t, :, None, :]
        outputs.append((q[:, t, :, None, :] @ state)[:, :, 0])
    y = F.rms_norm(torch.stack(outputs, dim=1), (size,), eps=1e-6) * F.silu(gate)
    torch.testing.assert_close(mixer(x), mixer.project_out(y.flatten(2)))


@pytest.mark.parametrize("position", ["none", "rope", "alibi"])
@pytest.mark.parametrize(
    "extra", [{}, {"kv_heads": 2}, {"window": 9}, {"qk_norm": True, "kv_heads": 1, "window": 9}], ids=str
)
def test_attention_is_a_softmax_over_the_tokens_it_may_see(position: str, extra: dict[str, Any]) -> None:
    heads, size, time = 4, WIDTH // 4, 33
    mixer = mixer_of({"op": "attention", "heads": heads, **extra}, position)
    shared = extra.get("kv_heads", heads)
    x = tokens(time)
    q, k, v = mixer.project_in(x).view(2, time, -1, size).split((heads, shared, shared), dim=2)
    if extra.get("qk_norm"):
        q, k = (each / each.square().mean(-1, keepdim=True).sqrt() for each in (q, k))
    if position == "rope":
        q, k = turned(q), turned(k)
    k, v = (each.repeat_interleave(heads // shared, dim=2) for each in (k, v))
    scores = torch.einsum("bihs,bjhs->bhij", q, k) / math.sqrt(size)
    age = torch.arange(time)[:, None] - torch.arange(time)
    if position == "alibi":
        scores = scores - torch.tensor([2.0 ** (-8 * (head + 1) / heads) for head in range(heads)])[:, None, None] * age
    scores = scores.masked_fill((age < 0) | (age >= extra.get("window", time)), -math.inf)
    y = torch.einsum("bhij,bjhs->bihs", scores.softmax(-1), v)
    torch.testing.assert_close(mixer(x), mixer.project_out(y.flatten(2)), atol=1e-5, rtol=1e-5)


def turned(x: Tensor) -> Tensor:
    """Feature pairs (i, i + S/2) as complex numbers, multiplied by exp(i * place * speed)."""
    half = x.shape[-1] // 2
    speed = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None, None] * speed
    turning = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat((turning.real, turning.imag), dim=-1)


@pytest.mark.parametrize("gated", [True, False])
def test_the_convolution_is_a_weighted_sum_of_the_last_few_tokens(gated: bool) -> None:
    mixer = mixer_of({"op": "causal-conv", "kernel": 5, "gated": gated})
    x = tokens(12)
    inner = mixer.project_in(x)
    value, before, after = inner.chunk(3, dim=-1) if gated else (inner, 1.0, 1.0)
    padded = F.pad(value * before, (0, 0, 4, 0))
    y = sum(padded[:, lag : lag + 12] * mixer.filters[:, 0, lag, 0] for lag in range(5))
    torch.testing.assert_close(mixer(x), mixer.project_out(y * after if gated else F.silu(y)))


@pytest.mark.parametrize(
    "mixer", [{"op": "gated-recurrence"}, {"op": "linear-attention", "heads": 2}, {"op": "causal-conv"}], ids=str
)
def test_extreme_weights_in_single_precision_overflow_nothing(mixer: dict[str, Any]) -> None:
    module = mixer_of(mixer, scale=30.0).float()
    x = tokens(80).float().requires_grad_()
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert all(each.isfinite().all() for each in (x.grad, *(weight.grad for weight in module.parameters())))
