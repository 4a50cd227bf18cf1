# {op: gated-mlp}
# GatedMlp(..., hidden=40)


class GatedMlp(nn.Module):
    """SiLU-gated dense layer, then dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, 2 * hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        gate, value = self.project_in(x).chunk(2, dim=-1)
        return self.project_out(F.silu(gate) * value)


# {op: gated-mlp, activation: gelu}
# GatedMlp(..., hidden=40)


class GatedMlp(nn.Module):
    """GELU-gated dense layer, then dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, 2 * hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        gate, value = self.project_in(x).chunk(2, dim=-1)
        return self.project_out(F.gelu(gate) * value)


# {op: gated-mlp, activation: relu2}
# GatedMlp(..., hidden=40)


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


class GatedMlp(nn.Module):
    """Squared-ReLU-gated dense layer, then dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, 2 * hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        gate, value = self.project_in(x).chunk(2, dim=-1)
        return self.project_out(SquaredRelu.apply(gate) * value)
