"""Causal language model over bytes.

53,088 parameters, 5,160,960 FLOPs forward per item.

position: none
blocks[0].norm: 5 x layernorm(placement=pre)
blocks[0].mixer: 2 x causal-conv(kernel=4, gated=True)
blocks[0].channel: 2 x mlp(ratio=1.0, activation=silu)

Spec 5c41cd0542e6bcc733cd8700df69e56258d8cffb05a25699f0f30354f66e3ff5.
Shapes: B sequences, T tokens, D = 48 features, V = 256 tokens, H heads.
"""

import torch
from torch import nn
from torch.nn import functional as F


class LayerNorm(nn.Module):
    """Layer norm with a learned scale and shift: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


class CausalConv(nn.Module):
    """Causal depthwise convolution, gated on both sides: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, kernel):
        super().__init__()
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.filters = nn.Parameter(torch.randn(width, 1, kernel, 1) / kernel**0.5)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        value, before, after = self.project_in(x).chunk(3, dim=-1)
        return self.project_out(self.convolve(value * before) * after)

    def convolve(self, x):
        width, _, kernel, _ = self.filters.shape
        x = F.pad(x, (0, 0, kernel - 1, 0))  # nothing before the first token
        x = x.mT[..., None]  # (B, D, T, 1) in channels-last order, for which the 2-D convolution is fast
        return F.conv2d(x, self.filters, groups=width)[..., 0].mT


class Mlp(nn.Module):
    """Dense, SiLU, dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(F.silu(self.project_in(x)))


class Block(nn.Module):
    """Residual block, normed before each half: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, mixer, channel):
        super().__init__()
        self.mixer_norm = LayerNorm(width)
        self.mixer = mixer
        self.channel_norm = LayerNorm(width)
        self.channel = channel

    def forward(self, x):
        x = x + self.mixer(self.mixer_norm(x))
        return x + self.channel(self.channel_norm(x))


class Model(nn.Module):
    """tokens (B, T) int64 -> logits (B, T, V), for T up to `context`."""

    context = 64

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 48)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            self.blocks.append(Block(48, CausalConv(48, kernel=4), Mlp(48, hidden=48)))
        self.norm = LayerNorm(48)
        self.head = nn.Linear(48, 256, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        x = self.embed(tokens)  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # (B, T, V)
