# {op: learned}
# LearnedPosition(...)


class LearnedPosition(nn.Module):
    """Adds a learned vector for every position: (B, T, D) -> (B, T, D)."""

    def __init__(self, context, width):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(context, width))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]
