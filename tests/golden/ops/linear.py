# {op: linear}
# LinearHead(...)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class LinearHead(nn.Module):
    """Norm, ReLU, average over the map, dense: (B, C, H, W) -> (B, classes)."""

    def __init__(self, width, classes):
        super().__init__()
        self.norm = BatchNorm(width)
        self.project = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(x)).mean(dim=(2, 3))  # (B, C)
        return self.project(x)


# {op: linear, pool: max}
# LinearHead(...)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class LinearHead(nn.Module):
    """Norm, ReLU, max over the map, dense: (B, C, H, W) -> (B, classes)."""

    def __init__(self, width, classes):
        super().__init__()
        self.norm = BatchNorm(width)
        self.project = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(x)).amax(dim=(2, 3))  # (B, C)
        return self.project(x)
