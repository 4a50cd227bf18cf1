"""Classifier of small images.

14,298 parameters, 989,440 FLOPs forward per item.

stem: conv(width=16, kernel=3, stride=2)
stages[0].blocks[0].norm: 2 x batchnorm
stages[0].blocks[0].block: basic(activation=relu)
stages[1].blocks[0].norm: 3 x batchnorm
stages[1].blocks[0].block: basic(activation=relu)
head: linear(pool=average)

Spec b8a3d5389eb8af18b83146e4d1af8c5f34c59fca9bae3b52cbad1d796667f70f.
Shapes: B images, C and D channels, H x W points.
"""

import torch
from torch import nn
from torch.nn import functional as F


class ConvStem(nn.Module):
    """One convolution: (B, C, H, W) -> (B, D, H', W')."""

    def __init__(self, channels, width, kernel, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, x):
        return self.conv(x)


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


class LinearHead(nn.Module):
    """Norm, ReLU, average over the map, dense: (B, C, H, W) -> (B, classes)."""

    def __init__(self, width, classes):
        super().__init__()
        self.norm = BatchNorm(width)
        self.project = nn.Linear(width, classes)

    def forward(self, x):
        x = F.relu(self.norm(x)).mean(dim=(2, 3))  # (B, C)
        return self.project(x)


class Model(nn.Module):
    """images (B, 1, 20, 20) -> logits (B, 10)."""

    def __init__(self):
        super().__init__()
        self.stem = ConvStem(1, 16, kernel=3, stride=2)  # (B, 16, 10, 10)
        self.stages = nn.Sequential(
            BasicBlock(16, 8),  # (B, 8, 10, 10)
            BasicBlock(8, 32, stride=2),  # (B, 32, 5, 5)
        )
        self.head = LinearHead(32, 10)

    def forward(self, images):
        return self.head(self.stages(self.stem(images)))
