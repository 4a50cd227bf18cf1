# {op: gated-recurrence}
# GatedRecurrence(..., hidden=16)


class Scan(torch.autograd.Function):
    """The linear recurrence h[t] = decay[t] * h[t - 1] + value[t], from h[-1] = 0: two (B, T, S) -> (B, T, S).

    Chunks of about sqrt(T) tokens advance side by side, then hand their last state on: 2 sqrt(T) steps instead of T.
    The gradient is the same recurrence, run backwards.
    """

    @staticmethod
    def forward(ctx, decay, value):
        state = Scan.run(decay, value)
        ctx.save_for_backward(decay, state)
        return state

    @staticmethod
    def backward(ctx, gradient):
        decay, state = ctx.saved_tensors
        later = F.pad(decay[:, 1:], (0, 0, 0, 1))
        gradient = Scan.run(later.flip(1), gradient.flip(1)).flip(1)
        return gradient * F.pad(state[:, :-1], (0, 0, 1, 0)), gradient

    @staticmethod
    def run(decay, value):
        batch, time, width = value.shape
        chunk = math.isqrt(time - 1) + 1
        shape = (batch, -1, chunk, width)
        decay = F.pad(decay, (0, 0, 0, -time % chunk)).view(shape).clone()
        state = F.pad(value, (0, 0, 0, -time % chunk)).view(shape).clone()
        for t in range(1, chunk):
            state[:, :, t] += decay[:, :, t] * state[:, :, t - 1]
            decay[:, :, t] *= decay[:, :, t - 1]  # product since the chunk began
        for c in range(1, state.shape[1]):
            state[:, c] += decay[:, c] * state[:, c - 1, -1:]
        return state.flatten(1, 2)[:, :time]


class GatedRecurrence(nn.Module):
    """Leaky memories whose leak depends on the token, read through a gate: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, hidden):
        super().__init__()
        self.project_in = nn.Linear(width, 3 * hidden, bias=False)
        self.memory = nn.Parameter(torch.linspace(1.0, 6.0, hidden))  # at first from 4 to 400 tokens long
        self.project_out = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        keep, value, gate = self.project_in(x).chunk(3, dim=-1)  # each (B, T, S), S features of the state
        keep = keep + self.memory
        state = Scan.apply(torch.sigmoid(keep), torch.sigmoid(-keep) * value)
        return self.project_out(state * F.silu(gate))
