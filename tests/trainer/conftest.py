"""A bundle small enough to train in milliseconds, with models written by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

TRAINER = Path(__file__).parents[2] / "trainer"
CONTEXT = 16

LANGUAGE = """\
import torch
from torch import nn

{on_import}


class Model(nn.Module):
    context = 16

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 8)
        self.mix = nn.Linear(8, 8)
        self.head = nn.Linear(8, 256, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        {on_forward}
        x = self.embed(tokens)  # (B, T, D)
        age = torch.arange(1, x.shape[1] + 1).view(1, -1, 1)
        return self.head(x + torch.tanh(self.mix(x.cumsum(1) / age)))
"""

VISION = """\
from torch import nn
from torch.nn import functional as F


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        return self.head(F.relu(self.norm(self.conv(images))).mean((2, 3)))
"""

HYBRID = """\
import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.see = nn.Linear(64, 4)
        self.read = nn.Embedding(128, 4)
        self.head = nn.Linear(8, 3)

    def forward(self, images, questions):
        return self.head(torch.cat((self.see(images.flatten(1)), self.read(questions).mean(1)), dim=1))
"""

ADAMW = {"op": "adamw", "lr": 0.01, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95}
BUDGET = {"items": 10**6, "steps": 10**4, "memory_bytes": 2**31, "wall_s": 600, "disk_bytes": 2**20}


def arrays(domain: str) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """Train and validation arrays of a domain, the same every time."""
    random = np.random.default_rng(0)
    if domain == "language":
        text = np.frombuffer(b"the quick brown fox jumps over the lazy dog. " * 40, dtype=np.uint8)
        windows = np.stack([text[start : start + 2 * CONTEXT + 1] for start in range(0, 300, 25)])
        return {"train": {"tokens": text.copy()}, "validation": {"tokens": windows}}
    splits = {}
    for split, count in (("train", 40), ("validation", 70)):
        splits[split] = {
            "images": random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8),
            "labels": random.integers(0, 3, count, dtype=np.uint8),
        }
        if domain == "hybrid":
            splits[split]["questions"] = random.integers(0, 128, (count, 5), dtype=np.uint8)
    return splits


def lay_out(
    place: Path,
    models: dict[str, str],
    runs: list[tuple[str, str, int]],
    domain: str = "language",
    training: dict[str, Any] | None = None,
    rungs: list[tuple[int, int]] | None = None,
    **budget: int,
) -> Path:
    """Lay a bundle out on disk as a lane does, trainer included: runs (name, spec, steps), rungs (percent, keep)."""
    recipe = {
        "optimizer": ADAMW,
        "schedule": {"op": "cosine", "warmup": 0.1, "floor": 0.0},
        **({"batch_tokens": 4 * CONTEXT} if domain == "language" else {"batch": 8}),
        "clip": 1.0,
        "label_smoothing": 0.1,
        "precision": "fp32",
        **(training or {}),
    }
    for folder in ("specs", "models", "data", "trainer"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    for spec, source in models.items():
        (place / "models" / f"{spec}.py").write_text(source, encoding="ascii")
        tree = {"schema_version": 1, "domain": domain, "model": {}, "training": recipe}
        (place / "specs" / f"{spec}.json").write_text(json.dumps(tree), encoding="ascii")
    for split, content in arrays(domain).items():
        save_file(content, place / "data" / f"{split}.safetensors")
    for source_file in TRAINER.glob("*.py"):
        shutil.copy(source_file, place / "trainer")
    files = {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }
    declared = [
        {"name": name, "arm": name.split("-")[0], "pair": 0, "spec": spec, "seed": 2**53 - number, "steps": steps}
        for number, (name, spec, steps) in enumerate(runs, start=1)
    ]
    ladder = [{"percent": percent, "keep": keep} for percent, keep in rungs or ()]
    inputs = {"domain": domain, "files": files, "runs": declared, "rungs": ladder, "budget": {**BUDGET, **budget}}
    envelope = {"nonce": "0" * 64, "frozen_at": "2026-11-21T01:40:00Z"}
    (place / "manifest.json").write_text(json.dumps({"inputs": inputs, "envelope": envelope}), encoding="ascii")
    return place


@pytest.fixture(scope="session")
def write_bundle() -> Callable[..., Path]:
    """Lays out a bundle: place, models by spec, runs (name, spec, steps), then domain, training, and limits."""
    return lay_out


@pytest.fixture(scope="session")
def language_model() -> Callable[..., str]:
    """Gives the language model with a stranger's code in it, `on_import` or `on_forward`."""
    return lambda on_import="", on_forward="pass": LANGUAGE.format(on_import=on_import, on_forward=on_forward)


@pytest.fixture(scope="session")
def other_models() -> dict[str, str]:
    """A model of each other domain."""
    return {"vision": VISION, "hybrid": HYBRID}


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory, language_model: Callable[..., str]) -> Path:
    """A bundle with two runs of an honest language model."""
    place = tmp_path_factory.mktemp("honest")
    return lay_out(place, {"honest": language_model()}, [("control-0", "honest", 8), ("child-0", "honest", 8)])


@pytest.fixture(scope="session")
def outcomes() -> Callable[..., dict[str, dict[str, Any]]]:
    """Trains a bundle's runs from this process and gives their outcomes by name; weights under `"bytes"`."""
    from trainer import results, runs, train

    def train_all(place: Path, workers: int = 2) -> dict[str, dict[str, Any]]:
        bundle = results.read_bundle(place)
        deadline = time.monotonic() + bundle.inputs["budget"]["wall_s"]
        reader, writer = os.pipe()
        whole = {run["name"]: train.Segment(run, None, run["steps"], 60.0) for run in bundle.inputs["runs"]}
        ended = runs.outcomes(
            bundle, bundle.inputs["runs"], lambda run: whole[run["name"]], workers, lambda event: None, reader, deadline
        )
        named = {run["name"]: {**outcome, "bytes": weights} for run, outcome, weights in ended}
        os.close(reader)
        os.close(writer)
        return named

    return train_all
