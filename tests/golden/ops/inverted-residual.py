# {op: inverted-residual}
# InvertedResidual(..., expansion=4, kernel=3)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; added: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, expansion, kernel, stride=1):
        super().__init__()
        hidden = expansion * width
        self.expand = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.project = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        self.norm3 = BatchNorm(out)
        nn.init.zeros_(self.norm3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = F.relu(self.norm1(self.expand(x)))
        y = F.relu(self.norm2(self.depthwise(y)))
        return self.shortcut(x) + self.norm3(self.project(y))


# {op: inverted-residual, squeeze: 4}
# InvertedResidual(..., expansion=4, kernel=3, squeeze=4)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, squeeze and excite, project; added: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, expansion, kernel, squeeze, stride=1):
        super().__init__()
        hidden = expansion * width
        self.expand = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False)
        self.norm2 = BatchNorm(hidden)
        squeezed = max(1, hidden // squeeze)
        self.squeeze = nn.Conv2d(hidden, squeezed, kernel_size=1)
        self.excite = nn.Conv2d(squeezed, hidden, kernel_size=1)
        self.project = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        self.norm3 = BatchNorm(out)
        nn.init.zeros_(self.norm3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = F.relu(self.norm1(self.expand(x)))
        y = F.relu(self.norm2(self.depthwise(y)))
        gate = F.relu(self.squeeze(y.mean(dim=(2, 3), keepdim=True)))
        y = y * torch.sigmoid(self.excite(gate))
        return self.shortcut(x) + self.norm3(self.project(y))


# {op: inverted-residual, activation: gelu}
# InvertedResidual(..., expansion=4, kernel=3)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; added: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, expansion, kernel, stride=1):
        super().__init__()
        hidden = expansion * width
        self.expand = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.project = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        self.norm3 = BatchNorm(out)
        nn.init.zeros_(self.norm3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = F.gelu(self.norm1(self.expand(x)))
        y = F.gelu(self.norm2(self.depthwise(y)))
        return self.shortcut(x) + self.norm3(self.project(y))


# {op: inverted-residual, activation: silu}
# InvertedResidual(..., expansion=4, kernel=3)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; added: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, expansion, kernel, stride=1):
        super().__init__()
        hidden = expansion * width
        self.expand = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, kernel, stride, padding=kernel // 2, groups=hidden, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.project = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        self.norm3 = BatchNorm(out)
        nn.init.zeros_(self.norm3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = F.silu(self.norm1(self.expand(x)))
        y = F.silu(self.norm2(self.depthwise(y)))
        return self.shortcut(x) + self.norm3(self.project(y))
