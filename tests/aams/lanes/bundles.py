"""Bundles that train in a second, and some whose trainer is a few lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from aams import bundle, confine
from aams.canonical import sha256
from aams.records import Budget, Envelope, Inputs, Manifest, Run, Rung
from safety.manifest import freeze

MODEL = b"""\
from torch import nn


class Model(nn.Module):
    context = 8

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(256, 4)
        self.head = nn.Linear(4, 256)

    def forward(self, tokens):
        return self.head(self.embed(tokens))
"""
SPEC = sha256(MODEL)
RECIPE = {
    "optimizer": {"op": "sgd", "lr": 0.01, "momentum": 0.0, "weight_decay": 0.0},
    "schedule": {"op": "constant", "warmup": 0.0},
    "batch_tokens": 32,
    "clip": 0.0,
    "label_smoothing": 0.0,
    "precision": "fp32",
}
OWN = {f"trainer/{path.name}": path.read_bytes() for path in bundle.TRAINER.glob("*.py")}


RUNS = (Run("child-0", "child", 0, SPEC, 11, 3), Run("control-0", "control", 0, SPEC, 12, 3))


def packed(
    place: Path,
    trainer: Mapping[str, bytes] = OWN,
    runs: Sequence[Run] = RUNS,
    rungs: Sequence[Rung] = (),
    confinement: Sequence[str] = confine.ISOLATIONS,
    wall_s: int = 600,
) -> tuple[Path, Manifest]:
    """A bundle of two runs, three steps each, or of others, with the real trainer or another one."""
    tokens = np.frombuffer(b"the quick brown fox jumps over the lazy dog. " * 8, dtype=np.uint8)
    tree = {"schema_version": 1, "domain": "language", "model": {}, "training": RECIPE}
    files = {
        f"specs/{SPEC}.json": json.dumps(tree).encode(),
        f"models/{SPEC}.py": MODEL,
        "data/train.safetensors": save({"tokens": tokens.copy()}),
        "data/validation.safetensors": save({"tokens": tokens[:34].reshape(2, 17).copy()}),
        **trainer,
    }
    inputs = Inputs(
        schema_version=1,
        cycle="language-0123456789ab",
        stage="trial" if rungs else "attempt",
        batch=0,
        domain="language",
        generation="G001",
        sealed="5" * 64,
        parent="G000",
        parent_weights="",
        corpus="small",
        digests={},
        files=bundle.digests(files),
        runs=tuple(runs),
        rungs=tuple(rungs),
        compute_flops=1000,
        budget=Budget(items=10**6, steps=10**5, memory_bytes=2**31, wall_s=wall_s, disk_bytes=2**22),
        confinement=tuple(confinement),
    )
    manifest = freeze(inputs, Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""))
    return bundle.pack(manifest, files, place), manifest


def scripted(place: Path, source: str) -> Path:
    """A bundle whose trainer is a few lines that never import torch."""
    head = "import json, os, signal, sys, time\nfrom pathlib import Path\nout = Path(sys.argv[2])\n"
    return packed(place, {"trainer/__main__.py": (head + source).encode()})[0]
