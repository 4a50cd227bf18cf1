# {op: attention, heads: 4}
# Attention(..., heads=4)


class Attention(nn.Module):
    """Causal self-attention: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        batch, time, width = x.shape
        qkv = self.project_in(x).view(batch, time, 3 * self.heads, self.size).transpose(1, 2)
        q, k, v = qkv.split((self.heads, self.heads, self.heads), dim=1)  # each (B, its heads, T, D/H)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project_out(y.transpose(1, 2).reshape(batch, time, width))


# {op: attention, heads: 4, kv_heads: 2}
# Attention(..., heads=4, kv_heads=2)


class Attention(nn.Module):
    """Causal self-attention: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads, kv_heads):
        super().__init__()
        self.heads = heads
        self.kv_heads = kv_heads
        self.size = width // heads
        self.project_in = nn.Linear(width, (heads + 2 * kv_heads) * self.size, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        batch, time, width = x.shape
        qkv = self.project_in(x).view(batch, time, self.heads + 2 * self.kv_heads, self.size).transpose(1, 2)
        q, k, v = qkv.split((self.heads, self.kv_heads, self.kv_heads), dim=1)  # each (B, its heads, T, D/H)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.project_out(y.transpose(1, 2).reshape(batch, time, width))


# {op: attention, heads: 4, window: 8}
# Attention(..., heads=4, context=40, window=8)


class Attention(nn.Module):
    """Causal self-attention, windowed: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads, context, window):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)
        age = torch.arange(context)[:, None] - torch.arange(context)  # (T, T), how far back a key lies
        self.register_buffer("visible", (age >= 0) & (age < window), persistent=False)

    def forward(self, x):
        batch, time, width = x.shape
        qkv = self.project_in(x).view(batch, time, 3 * self.heads, self.size).transpose(1, 2)
        q, k, v = qkv.split((self.heads, self.heads, self.heads), dim=1)  # each (B, its heads, T, D/H)
        mask = self.visible[:time, :time]  # (T, T)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.project_out(y.transpose(1, 2).reshape(batch, time, width))


# {op: attention, heads: 4, qk_norm: true}
# Attention(..., heads=4)


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


class Attention(nn.Module):
    """Causal self-attention, with normed queries and keys: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.project_in = nn.Linear(width, 3 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        batch, time, width = x.shape
        qkv = self.project_in(x).view(batch, time, 3 * self.heads, self.size).transpose(1, 2)
        qk, v = qkv.split((self.heads + self.heads, self.heads), dim=1)
        qk = unit(qk)
        q, k = qk.split((self.heads, self.heads), dim=1)  # like v: (B, its heads, T, D/H)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.project_out(y.transpose(1, 2).reshape(batch, time, width))
