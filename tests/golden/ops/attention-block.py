# {op: attention-block}
# AttentionBlock(..., heads=4, hidden=32)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class AttentionBlock(nn.Module):
    """Self-attention over the map, then dense, GELU, dense: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, heads, hidden, stride=1):
        super().__init__()
        self.heads = heads
        self.resize = nn.Identity()
        if stride > 1 or width != out:
            self.resize = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.locate = nn.Conv2d(out, out, kernel_size=3, padding=1, groups=out, bias=False)
        self.attention_norm = BatchNorm(out)
        self.project_in = nn.Conv2d(out, 3 * out, kernel_size=1, bias=False)
        self.project_out = nn.Conv2d(out, out, kernel_size=1, bias=False)
        self.mlp_norm = BatchNorm(out)
        self.expand = nn.Conv2d(out, hidden, kernel_size=1, bias=False)
        self.contract = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        nn.init.zeros_(self.project_out.weight)
        nn.init.zeros_(self.contract.weight)

    def forward(self, x):
        x = self.resize(x)
        x = x + self.locate(x)
        x = x + self.attend(self.attention_norm(x))
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x))))

    def attend(self, x):
        qkv = self.project_in(x).flatten(2).unflatten(1, (3 * self.heads, -1)).transpose(2, 3)
        q, k, v = qkv.chunk(3, dim=1)  # each (B, heads, H * W, D / heads)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.project_out(y.transpose(2, 3).reshape(x.shape))
