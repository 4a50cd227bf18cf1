# {op: groupnorm}
# GroupNorm(..., groups=8)


class GroupNorm(nn.GroupNorm):
    """Normalises groups of channels over the map of one image: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, width, groups):
        super().__init__(groups, width)
