# {op: cross-attention}
# CrossFusion(..., points=18, heads=4, layers=2, every=1)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class CrossAttention(nn.Module):
    """Tokens attend to the image's points; added: (B, T, D) and (B, P, D) -> (B, T, D)."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.project_out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.project_out.weight)

    def forward(self, x, points):
        q = self.query(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(points).unflatten(-1, (2 * self.heads, -1)).transpose(1, 2).chunk(2, dim=1)
        y = F.scaled_dot_product_attention(q, k, v)  # (B, heads, T, D / heads)
        return x + self.project_out(y.transpose(1, 2).flatten(2))


class CrossFusion(nn.Module):
    """Between blocks, the question looks at the image: (B, C, H, W) and (B, T, D) -> (B, D)."""

    def __init__(self, channels, width, points, heads, layers, every):
        super().__init__()
        self.norm = BatchNorm(channels)
        self.project = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.zeros(points, width))
        self.layers = nn.ModuleList(CrossAttention(width, heads) for _ in range(layers))
        self.every = every

    def forward(self, image, question, blocks):
        points = self.norm(image).flatten(2).transpose(1, 2)  # (B, P, C)
        points = self.project(points) + self.position  # (B, P, D)
        x = question
        for number, block in enumerate(blocks, start=1):
            x = block(x)
            if number % self.every == 0:
                x = self.layers[number // self.every - 1](x, points)
        return x[:, -1]
