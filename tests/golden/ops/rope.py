# {op: rope}
# Rotary(..., base=10000.0)


class Rotary(nn.Module):
    """Rotary position embedding: turns pairs of features by an angle that grows with the position."""

    def __init__(self, context, size, base):
        super().__init__()
        speed = base ** (-torch.arange(0, size, 2) / size)  # (S/2,)
        angle = torch.arange(context)[:, None] * speed  # (T, S/2)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, x):  # (B, H, T, S)
        a, b = x.chunk(2, dim=-1)
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]
        return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
