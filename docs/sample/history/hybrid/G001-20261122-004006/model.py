"""Answers a question about an image.

42,248 parameters, 1,406,720 FLOPs forward per item.

vision.stem: conv(width=16, kernel=3, stride=2)
vision.stages[0].blocks[0].norm: 2 x batchnorm
vision.stages[0].blocks[0].block: basic(activation=relu)
vision.stages[1].blocks[0].norm: 3 x batchnorm
vision.stages[1].blocks[0].block: basic(activation=relu)
fusion: prefix
language.position: rope(base=10000.0)
language.blocks[0].norm: 5 x rmsnorm(placement=pre)
language.blocks[0].mixer: 2 x attention(heads=4, kv_heads=4, qk_norm=True)
language.blocks[0].channel: 2 x mlp(ratio=2.0, activation=relu2)

Spec e443fd8e6d1b526c5407d707f23fbbbfbcd060ca7b60f13574fed51030ff5922.
Shapes: B images with a question, C channels, H x W points, P = H * W, T tokens, D = 32 features.
"""

import torch
from torch import nn
from torch.nn import functional as F


class ConvStem(nn.Module):
    """One convolution: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, channels, width, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x):
        return self.conv(x)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class BasicBlock(nn.Module):
    """Two convolutions, each after norm and activation, added to the input: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm2 = BatchNorm(out)
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return self.shortcut(x) + y


class Prefix(nn.Module):
    """The image's points stand as tokens before the question's: (B, C, H, W) and (B, T, D) -> (B, D)."""

    def __init__(self, channels, width, points):
        super().__init__()
        self.norm = BatchNorm(channels)
        self.project = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.zeros(points, width))

    def forward(self, image, question, blocks):
        points = self.norm(image).flatten(2).transpose(1, 2)  # (B, P, C)
        x = torch.cat((self.project(points) + self.position, question), dim=1)  # (B, P + T, D)
        for block in blocks:
            x = block(x)
        return x[:, -1]


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
    """images (B, 1, 12, 24), questions (B, 20) int64 -> logits (B, 24)."""

    def __init__(self):
        super().__init__()
        self.stem = ConvStem(1, 16, kernel=3, stride=2)  # (B, 16, 6, 12)
        self.stages = nn.Sequential(
            BasicBlock(16, 16, stride=2),  # (B, 16, 3, 6)
            BasicBlock(16, 32, stride=2),  # (B, 32, 2, 3)
        )
        self.embed = nn.Embedding(128, 32)
        nn.init.normal_(self.embed.weight, std=0.02)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            self.blocks.append(Block(32, Attention(32, heads=4, context=26), Mlp(32, hidden=64)))
        self.fusion = Prefix(32, 32, points=6)
        self.norm = RmsNorm(32)
        self.head = nn.Linear(32, 24)

    def forward(self, images, questions):
        image = self.stages(self.stem(images))  # (B, C, H, W)
        question = self.embed(questions)  # (B, T, D)
        x = self.fusion(image, question, self.blocks)  # (B, D)
        return self.head(self.norm(x))
