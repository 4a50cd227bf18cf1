# {op: layernorm2d}
# LayerNorm2d(...)


class LayerNorm2d(nn.LayerNorm):
    """Normalises the channels of every point of the map: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
