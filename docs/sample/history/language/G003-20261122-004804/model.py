"""Causal language model over bytes.

96,720 parameters, 11,550,720 FLOPs forward per item.

position: rope(base=10000.0)
blocks[0].norm: 2 x rmsnorm(placement=pre)
blocks[0].mixer: attention(heads=3, kv_heads=3, qk_norm=True)
blocks[0].channel: mlp(ratio=4.0, activation=relu2)
blocks[1].norm: 5 x rmsnorm(placement=pre)
blocks[1].mixer: 2 x causal-conv(kernel=4)
blocks[1].channel: 2 x gated-mlp(ratio=2.5, activation=silu)

Spec 5ecc580619a69e8c344c2f0d6f9475717ca2edd343a8eb3eb172bf7594e8f469.
Shapes: B sequences, T tokens, D = 48 features, V = 256 tokens, H heads.
"""

import torch
from torch import nn
from torch.nn import functional as F


class Rotary(nn.Module):
    """Rotary position embedding: turns pairs of features by an angle that grows with the position."""

    def __init__(self, context, size, base):
        super().__init__()
        speed = base ** (-torch.arange(0, size, 2) / size)  # (S/2,)
        angle = torch.arange(context)[:, None] * speed  # (T, S/2)
        self.register_buffer("cos", torch.cat((angle.cos(), angle.cos()), dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat((-angle.sin(), angle.sin()), dim=-1), persistent=False)

    def forward(self, x):  # (B, H, T, S)
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]  # (T, S)
        return torch.addcmul(x * cos, x.roll(x.shape[3] // 2, dims=-1), sin)


class Unit(torch.autograd.Function):
    """x over its root mean square, with a gradient of four kernels: (..., D) -> (..., D)."""

    @staticmethod
    def forward(ctx, x, eps):
        scale = (x.square().mean(-1, keepdim=True) + eps).rsqrt()  # (..., 1)
        y = x * scale
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        y, scale = ctx.saved_tensors
        along = (grad * y).mean(-1, keepdim=True)
        return torch.addcmul(grad, y, along, value=-1).mul_(scale), None


def unit(x, weight=None, eps=None):
    """RMSNorm: torch's own on a GPU and in half precision; in full precision on a CPU its gradient is a dozen kernels."""
    if x.is_cuda or x.dtype.itemsize < 4:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = Unit.apply(x, torch.finfo(x.dtype).eps if eps is None else eps)
    return y if weight is None else y * weight


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return unit(x, self.weight, eps=1e-6)


class Attention(nn.Module):
    """Causal self-attention, with normed queries and keys: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads, context):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)
        self.rotary = Rotary(context, self.size, base=10000.0)

    def forward(self, x):
        batch, time, width = x.shape
        qkv = self.project_in(x).view(batch, time, 3 * self.heads, self.size).transpose(1, 2)
        qk, v = qkv.split((self.heads + self.heads, self.heads), dim=1)
        qk = self.rotary(unit(qk))
        q, k = qk.split((self.heads, self.heads), dim=1)  # like v: (B, its heads, T, D/H)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project_out(y.transpose(1, 2).reshape(batch, time, width))


class SquaredRelu(torch.autograd.Function):
    """max(x, 0) squared, with a gradient of two kernels."""

    @staticmethod
    def forward(ctx, x):
        y = x.relu()
        ctx.save_for_backward(y)
        return y.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return (grad * y).mul_(2)


class Mlp(nn.Module):
    """Dense, squared ReLU, dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(SquaredRelu.apply(self.project_in(x)))


class CausalConv(nn.Module):
    """Causal depthwise convolution, then SiLU: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, kernel):
        super().__init__()
        self.project_in = nn.Linear(width, width, bias=False)
        self.filters = nn.Parameter(torch.randn(width, 1, kernel, 1) / kernel**0.5)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(F.silu(self.convolve(self.project_in(x))))

    def convolve(self, x):
        width, _, kernel, _ = self.filters.shape
        x = F.pad(x, (0, 0, kernel - 1, 0))  # nothing before the first token
        x = x.mT[..., None]  # (B, D, T, 1) in channels-last order, for which the 2-D convolution is fast
        return F.conv2d(x, self.filters, groups=width)[..., 0].mT


class GatedMlp(nn.Module):
    """SiLU-gated dense layer, then dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, 2 * hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        gate, value = self.project_in(x).chunk(2, dim=-1)
        return self.project_out(F.silu(gate) * value)


class Block(nn.Module):
    """Residual block, normed before each half: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, mixer, channel):
        super().__init__()
        self.mixer_norm = RmsNorm(width)
        self.mixer = mixer
        self.channel_norm = RmsNorm(width)
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
        self.blocks.append(Block(48, Attention(48, heads=3, context=64), Mlp(48, hidden=192)))
        for _ in range(2):
            self.blocks.append(Block(48, CausalConv(48, kernel=4), GatedMlp(48, hidden=120)))
        self.norm = RmsNorm(48)
        self.head = nn.Linear(48, 256, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        x = self.embed(tokens)  # (B, T, D)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # (B, T, V)
