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


class Mlp(nn.Module):
    """Dense, squared ReLU, dense: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, hidden, bias=False)
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        return self.project_out(F.relu(self.project_in(x)).square())


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
