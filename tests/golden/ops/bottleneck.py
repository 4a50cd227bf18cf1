# {op: bottleneck}
# Bottleneck(..., hidden=8)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Bottleneck(nn.Module):
    """Three convolutions through few channels, each after norm and activation: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, hidden, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm3 = BatchNorm(hidden)
        self.conv3 = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        nn.init.zeros_(self.conv3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        y = self.conv3(F.relu(self.norm3(y)))
        return self.shortcut(x) + y


# {op: bottleneck, activation: gelu}
# Bottleneck(..., hidden=8)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Bottleneck(nn.Module):
    """Three convolutions through few channels, each after norm and activation: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, hidden, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm3 = BatchNorm(hidden)
        self.conv3 = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        nn.init.zeros_(self.conv3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.gelu(self.norm1(x)))
        y = self.conv2(F.gelu(self.norm2(y)))
        y = self.conv3(F.gelu(self.norm3(y)))
        return self.shortcut(x) + y


# {op: bottleneck, activation: silu}
# Bottleneck(..., hidden=8)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Bottleneck(nn.Module):
    """Three convolutions through few channels, each after norm and activation: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, width, out, hidden, stride=1):
        super().__init__()
        self.norm1 = BatchNorm(width)
        self.conv1 = nn.Conv2d(width, hidden, kernel_size=1, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, kernel_size=3, stride=stride, padding=1, bias=False)
        self.norm3 = BatchNorm(hidden)
        self.conv3 = nn.Conv2d(hidden, out, kernel_size=1, bias=False)
        nn.init.zeros_(self.conv3.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or width != out:
            self.shortcut = nn.Conv2d(width, out, kernel_size=1, stride=stride, bias=False)

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        y = self.conv3(F.silu(self.norm3(y)))
        return self.shortcut(x) + y
