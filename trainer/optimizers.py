"""Optimizers: fused AdamW, Muon with AdamW for the rest, and SGD with Nesterov momentum.

Takes a model's parameters and a recipe, changes the parameters in place. They are written on torch's kernels directly:
`torch.optim` imports torch's compiler, which costs a bundle more than two seconds. Weight decay is decoupled, per unit
of learning rate, and leaves vectors (norms, biases) alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

NEWTON_SCHULZ_STEPS = 5
_QUINTIC = (3.4445, -4.7750, 2.0315)
_EPSILON = 1e-8


class Optimizer(Protocol):
    """What the training loop asks of an optimizer."""

    def step(self, share: float) -> None:
        """Update every parameter from its gradient, at this share of the peak learning rate."""

    def state(self) -> list[Tensor]:
        """What it has gathered so far, always in the same order: to be saved, and to be filled again in place."""


def build(model: nn.Module, recipe: Mapping[str, Any]) -> Optimizer:
    """Make the optimizer that a recipe names, for all parameters of a model."""
    parameters = list(model.parameters())
    if recipe["op"] == "adamw":
        return AdamW(parameters, recipe["lr"], recipe["weight_decay"], recipe["beta1"], recipe["beta2"])
    if recipe["op"] == "sgd":
        return Sgd(parameters, recipe["lr"], recipe["weight_decay"], recipe["momentum"])
    hidden = hidden_matrices(model)
    chosen = {id(matrix) for matrix in hidden}
    rest = [parameter for parameter in parameters if id(parameter) not in chosen]
    return Muon(hidden, rest, recipe["lr"], recipe["weight_decay"], recipe["momentum"], recipe["adamw_lr"])


def hidden_matrices(model: nn.Module) -> list[Tensor]:
    """The weights Muon works on: of dense and convolution layers, but for those inside the model's `head`."""
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d)
    embedded = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    found: dict[int, Tensor] = {}
    for name, module in model.named_modules():
        if isinstance(module, kinds) and name.split(".")[0] != "head" and id(module.weight) not in embedded:
            found[id(module.weight)] = module.weight
    return list(found.values())


class AdamW:
    """Adam with decoupled weight decay, one fused kernel (Loshchilov & Hutter 2019, arXiv:1711.05101)."""

    def __init__(self, parameters: Sequence[Tensor], lr: float, decay: float, beta1: float, beta2: float) -> None:
        self.lr, self.beta1, self.beta2 = lr, beta1, beta2
        matrices, vectors = _by_decay(parameters)
        self.groups = [_Moments(group, rate) for group, rate in ((matrices, decay), (vectors, 0.0)) if group]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update every parameter."""
        for group in self.groups:
            torch._foreach_add_(group.steps, 1)
            torch._fused_adamw_(
                group.parameters,
                _gradients(group.parameters),
                group.first,
                group.second,
                [],
                group.steps,
                lr=self.lr * share,
                beta1=self.beta1,
                beta2=self.beta2,
                weight_decay=group.decay,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
            )

    def state(self) -> list[Tensor]:
        """Both moments and the count of updates of every parameter."""
        return [tensor for group in self.groups for tensor in (*group.first, *group.second, *group.steps)]


class _Moments:
    """AdamW's state for parameters of one weight decay."""

    def __init__(self, parameters: list[Tensor], decay: float) -> None:
        self.parameters = parameters
        self.decay = decay
        self.first = [torch.zeros_like(parameter) for parameter in parameters]
        self.second = [torch.zeros_like(parameter) for parameter in parameters]
        self.steps = [torch.zeros((), device=parameter.device) for parameter in parameters]


class Sgd:
    """Stochastic gradient descent with Nesterov momentum (Sutskever et al. 2013)."""

    def __init__(self, parameters: Sequence[Tensor], lr: float, decay: float, momentum: float) -> None:
        self.lr, self.momentum = lr, momentum
        self.decay = decay
        self.parameters: list[Tensor] = list(parameters)
        self.matrices, _ = _by_decay(parameters)
        self.velocity = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update every parameter."""
        lr = self.lr * share
        gradients = _gradients(self.parameters)
        if self.decay and self.matrices:
            torch._foreach_mul_(self.matrices, 1 - lr * self.decay)
        torch._foreach_mul_(self.velocity, self.momentum)
        torch._foreach_add_(self.velocity, gradients)
        torch._foreach_add_(self.parameters, gradients, alpha=-lr)
        torch._foreach_add_(self.parameters, self.velocity, alpha=-lr * self.momentum)

    def state(self) -> list[Tensor]:
        """The velocity of every parameter."""
        return self.velocity


class Muon:
    """Momentum orthogonalised by Newton-Schulz for hidden matrices, AdamW for embeddings, heads and vectors.

    Matrices of one shape are worked on as one batch, in float32, which on a CPU is faster than one after the other in
    bfloat16. A convolution's kernel (out, in, h, w) counts as the matrix (out, in * h * w), and a tall matrix is
    worked on as its transpose. (Jordan et al. 2024, kellerjordan.github.io/posts/muon)
    """

    def __init__(
        self,
        hidden: Sequence[Tensor],
        rest: Sequence[Tensor],
        lr: float,
        decay: float,
        momentum: float,
        adamw_lr: float,
    ) -> None:
        self.lr, self.decay, self.momentum = lr, decay, momentum
        self.rest = AdamW(rest, adamw_lr, decay, beta1=0.9, beta2=0.95)
        by_shape = sorted(hidden, key=_flat_shape)
        self.stacks = [list(same) for _, same in itertools.groupby(by_shape, key=_flat_shape)]
        self.velocities = [torch.zeros_like(_wide([parameter.data for parameter in stack])) for stack in self.stacks]

    @torch.no_grad()
    def step(self, share: float) -> None:
        """Update every parameter."""
        self.rest.step(share)
        lr = self.lr * share
        for stack, velocity in zip(self.stacks, self.velocities, strict=True):
            gradient = _wide(_gradients(stack))
            velocity.lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp_(velocity, self.momentum))
            rows, columns = _flat_shape(stack[0])
            if rows > columns:
                update = update.mT
            size = lr * math.sqrt(max(1.0, rows / columns))
            for parameter, direction in zip(stack, update.unbind(), strict=True):
                parameter.mul_(1 - lr * self.decay).add_(direction.reshape(parameter.shape), alpha=-size)

    def state(self) -> list[Tensor]:
        """The velocities, and what AdamW has gathered."""
        return [*self.velocities, *self.rest.state()]


def orthogonalise(matrices: Tensor) -> Tensor:
    """Bring all singular values near 1, from about 0.7 to 1.2, by five quintic Newton-Schulz iterations.

    Args:
        matrices: (K, M, N) float32, M <= N.

    Returns:
        (K, M, N) float32.
    """
    a, b, c = _QUINTIC
    x: Tensor = matrices / (torch.linalg.vector_norm(matrices, dim=(1, 2), keepdim=True) + _EPSILON)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT  # (K, M, M)
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x


def _flat_shape(parameter: Tensor) -> tuple[int, int]:
    return parameter.shape[0], parameter[0].numel()


def _wide(tensors: Sequence[Tensor]) -> Tensor:
    """Stack equal shapes as (K, M, N) with M <= N."""
    stacked = torch.stack([tensor.flatten(1) for tensor in tensors])
    return stacked.mT.contiguous() if stacked.shape[1] > stacked.shape[2] else stacked


def _by_decay(parameters: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Matrices, which decay, and vectors, which do not."""
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    return matrices, [parameter for parameter in parameters if parameter.ndim < 2]


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    """Gradients in order; zeros where the loss does not depend on a parameter."""
    return [parameter.grad if parameter.grad is not None else torch.zeros_like(parameter) for parameter in parameters]
