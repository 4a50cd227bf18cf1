# {op: patchify, width: 8}
# Patchify(..., patch=4)


class Patchify(nn.Module):
    """A dense layer on every patch: (B, C, H, W) -> (B, D, H/patch, W/patch)."""

    def __init__(self, channels, width, patch):
        super().__init__()
        self.project = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, x):
        return self.project(x)
