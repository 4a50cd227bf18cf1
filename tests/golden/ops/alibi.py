# {op: alibi}
# Alibi(...)


class Alibi(nn.Module):
    """Attention bias that falls with distance, in each head at another rate, and hides the future: T -> (1, H, T, T)."""

    def __init__(self, context, heads):
        super().__init__()
        slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)  # (H,)
        age = torch.arange(context)[:, None] - torch.arange(context)  # (T, T), how far back a key lies
        self.register_buffer("slopes", slopes[:, None, None], persistent=False)
        self.register_buffer("age", torch.where(age < 0, math.inf, age), persistent=False)

    def forward(self, time):
        return (-self.slopes * self.age[:time, :time])[None]
