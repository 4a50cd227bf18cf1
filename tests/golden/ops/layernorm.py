# {op: layernorm}
# LayerNorm(...)


class LayerNorm(nn.Module):
    """Layer norm with a learned scale and shift: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


# {op: layernorm, placement: post}
# LayerNorm(...)


class LayerNorm(nn.Module):
    """Layer norm with a learned scale and shift: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)


# {op: layernorm, placement: parallel}
# LayerNorm(...)


class LayerNorm(nn.Module):
    """Layer norm with a learned scale and shift: (..., D) -> (..., D)."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias)
