# {op: mlp}
# Mlp(..., hidden=64)


class Mlp(nn.Module):
    """Dense, GELU, dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(F.gelu(self.project_in(x)))


# {op: mlp, activation: relu2}
# Mlp(..., hidden=64)


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


# {op: mlp, activation: silu}
# Mlp(..., hidden=64)


class Mlp(nn.Module):
    """Dense, SiLU, dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(F.silu(self.project_in(x)))
