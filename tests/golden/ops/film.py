# {op: film}
# Film(..., rows=3, columns=6)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Film(nn.Module):
    """The question scales and shifts the image's channels: (B, C, H, W) and (B, T, D) -> (B, D)."""

    def __init__(self, channels, width, rows, columns):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(channels, rows, columns))
        self.mix = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.norm = BatchNorm(channels)
        self.modulate = nn.Linear(width, 2 * channels)
        self.project = nn.Linear(channels, width)

    def forward(self, image, question, blocks):
        for block in blocks:
            question = block(question)
        question = question[:, -1]  # (B, D)
        scale, shift = self.modulate(F.rms_norm(question, question.shape[-1:])).chunk(2, dim=-1)  # each (B, C)
        x = self.norm(self.mix(F.relu(image + self.position)))
        x = F.relu(x * (1 + scale[:, :, None, None]) + shift[:, :, None, None])  # (B, C, H, W)
        return question + self.project(x.amax(dim=(2, 3)))


# {op: film, pool: average}
# Film(..., rows=3, columns=6)


class BatchNorm(nn.BatchNorm2d):
    """Normalises every channel over the batch and the map: (B, C, H, W) -> (B, C, H, W)."""


class Film(nn.Module):
    """The question scales and shifts the image's channels: (B, C, H, W) and (B, T, D) -> (B, D)."""

    def __init__(self, channels, width, rows, columns):
        super().__init__()
        self.position = nn.Parameter(torch.zeros(channels, rows, columns))
        self.mix = nn.Conv2d(channels, channels, kernel_size=1, bias=False)
        self.norm = BatchNorm(channels)
        self.modulate = nn.Linear(width, 2 * channels)
        self.project = nn.Linear(channels, width)

    def forward(self, image, question, blocks):
        for block in blocks:
            question = block(question)
        question = question[:, -1]  # (B, D)
        scale, shift = self.modulate(F.rms_norm(question, question.shape[-1:])).chunk(2, dim=-1)  # each (B, C)
        x = self.norm(self.mix(F.relu(image + self.position)))
        x = F.relu(x * (1 + scale[:, :, None, None]) + shift[:, :, None, None])  # (B, C, H, W)
        return question + self.project(x.mean(dim=(2, 3)))
