# {op: prefix}
# Prefix(..., points=18)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Prefix(nn.Module):
    """The image's points stand as tokens before the question's: (B, C, H, W) and (B, T, D) -> (B, D)."""

    def __init__(self, channels, width, points):
        super().__init__()
        self.norm = BatchNorm(channels)
        self.project = nn.Linear(channels, width)
        self.position = nn.Parameter(torch.zeros(points, width))

    def forward(self, image, question, blocks):
        points = self.norm(image).flatten(2).transpose(1, 2)  # (B, P, C)
        x = torch.cat((self.project(points) + self.position, question), dim=1)  # (B, P + T, D)
        for block in blocks:
            x = block(x)
        return x[:, -1]
