"""The training recipe's ops: optimizers and schedules. The trainer implements them, so they have no template."""

from __future__ import annotations

from compiler.fields import Float, Op, Place, Tally, Tree

NEWTON_SCHULZ_STEPS = 5
"""Iterations of Muon's orthogonalisation, as the trainer runs them."""


def _free(params: Tree, place: Place) -> Tally:
    return Tally()


def _op(name: str, kind: str, about: str, paper: str, *fields: Float) -> Op:
    return Op(name, kind, "", about, paper, fields, cost=_free)


_LR = Float("lr", 1e-5, 1.0, about="Peak learning rate.")
_DECAY = Float("weight_decay", 0.0, 1.0, default=0.0, about="Decoupled weight decay, per unit of learning rate.")
_WARMUP = Float("warmup", 0.0, 0.5, default=0.0, about="Share of the steps with a linear warm-up.")
_FLOOR = Float("floor", 0.0, 1.0, default=0.0, about="Learning rate at the end, as a share of the peak.")

OPS = (
    _op(
        "adamw",
        "optimizer",
        "Adam with decoupled weight decay.",
        "Loshchilov & Hutter 2019, arXiv:1711.05101",
        _LR,
        _DECAY,
        Float("beta1", 0.5, 0.99, default=0.9),
        Float("beta2", 0.8, 0.9999, default=0.95),
    ),
    _op(
        "muon",
        "optimizer",
        "Orthogonalised momentum for hidden matrices, AdamW for the rest.",
        "Jordan et al. 2024, kellerjordan.github.io/posts/muon",
        _LR,
        _DECAY,
        Float("momentum", 0.5, 0.99, default=0.95),
        Float("adamw_lr", 1e-5, 0.1, default=0.003, about="Peak learning rate of embeddings, heads and vectors."),
    ),
    _op(
        "sgd",
        "optimizer",
        "Stochastic gradient descent with Nesterov momentum.",
        "Sutskever et al. 2013",
        _LR,
        _DECAY,
        Float("momentum", 0.0, 0.99, default=0.9),
    ),
    _op("cosine", "schedule", "Warm-up, then half a cosine down to the floor.", "arXiv:1608.03983", _WARMUP, _FLOOR),
    _op("linear", "schedule", "Warm-up, then a straight line down to the floor.", "arXiv:1706.02677", _WARMUP, _FLOOR),
    _op("constant", "schedule", "Warm-up, then the peak.", "", _WARMUP),
)


def newton_schulz_flops(matrices: tuple[tuple[int, int, int], ...]) -> int:
    """Matrix products of one Muon step over all hidden matrices.

    Each of the iterations computes A = X Xᵀ, B = bA + cA² and aX + BX with X of shape (m, n), m <= n.
    """
    flops = 0
    for rows, columns, count in matrices:
        short, long = sorted((rows, columns))
        flops += count * NEWTON_SCHULZ_STEPS * (4 * short * short * long + 2 * short**3)
    return flops
