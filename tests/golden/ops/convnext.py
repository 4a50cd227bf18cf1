# {op: convnext}
# ConvNext(..., hidden=64, kernel=7)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class ConvNext(nn.Module):
    """Wide depthwise convolution, norm, dense, GELU, dense; added: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, hidden, kernel, stride=1):
        super().__init__()
        self.resize = nn.Identity()
        if stride > 1 or width != out:
            self.resize = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.depthwise = nn.Conv2d(out, out, kernel, padding=kernel // 2, groups=out, bias=False)
        self.norm = BatchNorm(out)
        self.expand = nn.Conv2d(out, hidden, kernel_size=1, bias=False)
        self.project = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        nn.init.zeros_(self.project.weight)

    def forward(self, x):
        x = self.resize(x)
        return x + self.project(F.gelu(self.expand(self.norm(self.depthwise(x)))))
