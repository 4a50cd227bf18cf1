# {op: linear-attention, heads: 4}
# LinearAttention(..., heads=4, chunk=32)


class LinearAttention(nn.Module):
    """Causal linear attention, gated decay, in N chunks of C tokens: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads, chunk):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.chunk = chunk
        self.project_in = nn.Linear(width, 4 * width, bias=False)
        memory = torch.linspace(1.0, 6.0, heads)  # from 4 to 400 tokens long, at first
        self.keep = nn.Linear(width, heads)
        nn.init.zeros_(self.keep.weight)
        self.keep.bias = nn.Parameter(memory)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        batch, time, width = x.shape
        chunk = min(self.chunk, time)
        x = F.pad(x, (0, 0, 0, -time % chunk))  # what fills the last chunk comes after every token
        qkvg = self.project_in(x).view(batch, -1, chunk, 4, self.heads, self.size)
        q, k, v, gate = qkvg.permute(3, 0, 4, 1, 2, 5).contiguous()  # each (B, H, N, C, D/H)
        keep = F.logsigmoid(self.keep(x)).view(batch, -1, chunk, self.heads).permute(0, 3, 1, 2)
        fade = keep.cumsum(-1)  # (B, H, N, C), log of what is left since the chunk began
        decay = (fade[..., :, None] - fade[..., None, :]).clamp(max=0).exp().tril()  # (B, H, N, C, C)
        y = (q @ k.mT * decay) @ v
        if time > chunk:
            y = y + self.recall(q, k, v, fade)
        y = F.rms_norm(y, (self.size,), eps=1e-6) * F.silu(gate)
        return self.project_out(y.permute(0, 2, 3, 1, 4).reshape(batch, -1, width)[:, :time])

    def recall(self, q, k, v, fade):
        """What each token finds of the chunks before its own: (B, H, N, C, D/H)."""
        last = fade[..., -1:]
        written = (k * (last - fade).exp()[..., None]).mT @ v  # (B, H, N, D/H, D/H)
        kept = last.exp()[..., None]
        state = torch.zeros_like(written[:, :, 0])
        states = []
        for n in range(written.shape[2]):
            states.append(state)  # what chunk n finds
            state = state * kept[:, :, n] + written[:, :, n]
        return (q * fade.exp()[..., None]) @ torch.stack(states, dim=2)


# {op: linear-attention, heads: 4, decay: fixed}
# LinearAttention(..., heads=4, chunk=32)


class LinearAttention(nn.Module):
    """Causal linear attention, fixed decay, in N chunks of C tokens: (B, T, D) -> (B, T, D)."""

    def __init__(self, width, heads, chunk):
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.chunk = chunk
        self.project_in = nn.Linear(width, 4 * width, bias=False)
        memory = torch.linspace(1.0, 6.0, heads)  # from 4 to 400 tokens long
        self.register_buffer("keep", F.logsigmoid(memory), persistent=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x):
        batch, time, width = x.shape
        chunk = min(self.chunk, time)
        x = F.pad(x, (0, 0, 0, -time % chunk))  # what fills the last chunk comes after every token
        qkvg = self.project_in(x).view(batch, -1, chunk, 4, self.heads, self.size)
        q, k, v, gate = qkvg.permute(3, 0, 4, 1, 2, 5).contiguous()  # each (B, H, N, C, D/H)
        keep = self.keep[None, :, None, None].expand(1, -1, q.shape[2], chunk)
        fade = keep.cumsum(-1)  # (1, H, N, C), log of what is left since the chunk began
        decay = (fade[..., :, None] - fade[..., None, :]).clamp(max=0).exp().tril()  # (B, H, N, C, C)
        y = (q @ k.mT * decay) @ v
        if time > chunk:
            y = y + self.recall(q, k, v, fade)
        y = F.rms_norm(y, (self.size,), eps=1e-6) * F.silu(gate)
        return self.project_out(y.permute(0, 2, 3, 1, 4).reshape(batch, -1, width)[:, :time])

    def recall(self, q, k, v, fade):
        """What each token finds of the chunks before its own: (B, H, N, C, D/H)."""
        last = fade[..., -1:]
        written = (k * (last - fade).exp()[..., None]).mT @ v  # (B, H, N, D/H, D/H)
        kept = last.exp()[..., None]
        state = torch.zeros_like(written[:, :, 0])
        states = []
        for n in range(written.shape[2]):
            states.append(state)  # what chunk n finds
            state = state * kept[:, :, n] + written[:, :, n]
        return (q * fade.exp()[..., None]) @ torch.stack(states, dim=2)
