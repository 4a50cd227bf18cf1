# {op: basic}
# BasicBlock(...)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class BasicBlock(nn.Module):
    """Two convolutions, each after norm and activation, added to the input: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm2 = BatchNorm(out)
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        return self.shortcut(x) + y


# {op: basic, activation: gelu}
# BasicBlock(...)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class BasicBlock(nn.Module):
    """Two convolutions, each after norm and activation, added to the input: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm2 = BatchNorm(out)
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.gelu(self.norm1(x)))
        y = self.conv2(F.gelu(self.norm2(y)))
        return self.shortcut(x) + y


# {op: basic, activation: silu}
# BasicBlock(...)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class BasicBlock(nn.Module):
    """Two convolutions, each after norm and activation, added to the input: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, out, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm2 = BatchNorm(out)
        self.conv2 = nn.Conv2d(out, out, kernel_size=3, padding=1, bias=False)
        nn.init.zeros_(self.conv2.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return self.shortcut(x) + y
