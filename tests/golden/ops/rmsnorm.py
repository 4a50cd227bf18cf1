# {op: rmsnorm}
# RmsNorm(...)


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, eps=1e-6)


# {op: rmsnorm, placement: post}
# RmsNorm(...)


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, eps=1e-6)


# {op: rmsnorm, placement: parallel}
# RmsNorm(...)


class RmsNorm(nn.Module):
    """Root-mean-square norm with a learned scale: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, eps=1e-6)
