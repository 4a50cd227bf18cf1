# {op: conv, width: 8}
# ConvStem(..., kernel=3)


class ConvStem(nn.Module):
    """One convolution: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, channels, width, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x):
        return self.conv(x)


# {op: conv, width: 8, pool: true}
# ConvStem(..., kernel=3)


class ConvStem(nn.Module):
    """One convolution, then max pooling: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, channels, width, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x):
        return F.max_pool2d(self.conv(x), kernel_size=3, stride=2, padding=1)
