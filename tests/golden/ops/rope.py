# {op: rope}
# Rotary(..., base=10000.0)


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
