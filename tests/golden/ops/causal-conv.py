# {op: causal-conv}
# CausalConv(..., kernel=4)


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


# {op: causal-conv, gated: false}
# CausalConv(..., kernel=4)


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
