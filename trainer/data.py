"""Arrays of a bundle, as batches.

Takes the safetensors files that a domain prepared (their array names are the domain's: `tokens`; `images`, `labels`;
`images`, `questions`, `labels`), gives what a model takes and what it should answer. Never changes an image but by its
fixed normalisation, and draws nothing but from the run's seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

Arrays = Mapping[str, Tensor]
Batch = tuple[tuple[Tensor, ...], Tensor]
"""What a model takes, and its targets (int64)."""


def load(path: Path, device: torch.device, start: int = 0, stop: int | None = None) -> Arrays:
    """Read every array of a file, rows `start` to `stop`."""
    with safe_open(path, framework="pt") as file:
        names = file.keys()
        return {name: file.get_slice(name)[start:stop].to(device) for name in names}


def items_per_step(domain: str, training: Mapping[str, Any], context: int) -> int:
    """Sequences, images, or images with questions that one training step sees."""
    if domain == "language":
        return max(1, int(training["batch_tokens"]) // context)
    return int(training["batch"])


def batches(domain: str, arrays: Arrays, items: int, context: int, seed: int, skip: int = 0) -> Iterator[Batch]:
    """Training batches without end, the same for the same seed; the first `skip` are left out.

    Language: windows of `context` + 1 tokens at random places. Others: epoch after epoch, each in a new order; a batch
    may hold the end of one epoch and the beginning of the next.
    """
    rows = {"tokens": arrays["tokens"].unfold(0, context + 1, 1)} if domain == "language" else arrays
    choices = _windows if domain == "language" else _epochs
    count = len(next(iter(rows.values())))
    generator = torch.Generator().manual_seed(seed)
    for chosen in itertools.islice(choices(count, items, generator), skip, None):
        yield split(domain, {name: array[chosen.to(array.device)] for name, array in rows.items()})


def _windows(count: int, items: int, generator: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield torch.randint(count, (items,), generator=generator)


def _epochs(count: int, items: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.empty(0, dtype=torch.int64)
    while True:
        while len(order) < items:
            order = torch.cat((order, torch.randperm(count, generator=generator)))
        yield order[:items]
        order = order[items:]


def split(domain: str, rows: Arrays) -> Batch:
    """Turn stored rows into what a model takes and its targets.

    Args:
        domain: which arrays there are.
        rows: language: `tokens` (B, T+1) uint8; vision: `images` (B, C, H, W) uint8 and `labels` (B,) uint8; hybrid:
            also `questions` (B, Q) uint8.

    Returns:
        Inputs (tokens (B, T) int64; or images (B, C, H, W) float32, scaled to [0, 1] and then to (x - 0.5) / 0.25,
        and questions (B, Q) int64), and targets (B, T) or (B,) int64.
    """
    if domain == "language":
        tokens = rows["tokens"].long()
        return (tokens[:, :-1],), tokens[:, 1:]
    images = rows["images"].float().div_(255).sub_(0.5).div_(0.25)
    targets = rows["labels"].long()
    return ((images, rows["questions"].long()) if domain == "hybrid" else (images,)), targets
