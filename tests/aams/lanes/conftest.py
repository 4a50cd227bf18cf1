"""An emulated Kaggle that the door reaches as anybody reaches Kaggle, and a bundle that trains in a second."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from aams import bundle, confine
from aams.canonical import digest, sha256, to_data
from aams.lanes.kaggle_calls import ask
from aams.lanes.kaggle_kernel import Kind, Machine, Parameters, write_dataset, write_kernel
from aams.records import Budget, Envelope, Inputs, Manifest, Run
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


class Account:
    """ann at the emulated Kaggle, through the door."""

    USER, DATA, KERNEL = "ann", "aams-data", "aams-kernel"

    def __init__(self, site: Any, folder: Path) -> None:
        self.site, self._folder = site, folder

    def put(self, archive: Path, **fields: Any) -> dict[str, Any]:
        """Bring a bundle up."""
        write_dataset(self._folder / "data", self.USER, self.DATA, archive)
        return ask("put_dataset", slug=self.DATA, folder=str(self._folder / "data"), **fields)

    def place(self, archive: Path) -> None:
        """Let a bundle be there without asking the door."""
        from kaggle_emulator.records import Dataset, DatasetVersion

        place = self._folder / "placed"
        write_dataset(place, self.USER, self.DATA, archive)
        ref = f"{self.USER}/{self.DATA}"
        self.site.site.datasets[ref] = Dataset(1, ref, self.DATA, True, [DatasetVersion(place, "", time.monotonic())])

    def write(
        self, manifest: Manifest, archive: Path, slug: str = KERNEL, kind: Kind = "script", machine: Machine = ""
    ) -> Path:
        """A kernel's folder."""
        parameters = Parameters(self.DATA, sha256(archive.read_bytes()), digest(to_data(manifest.inputs)))
        write_kernel(self._folder / slug, self.USER, slug, parameters, kind, machine)
        return self._folder / slug

    def push(self, folder: Path, limit_s: int = 600, **fields: Any) -> dict[str, Any]:
        """Push what is in a folder, under the folder's name."""
        return ask("push", slug=folder.name, folder=str(folder), limit_s=limit_s, **fields)

    def kernel(self, slug: str = KERNEL) -> Any:
        return self.site.kernel(f"{self.USER}/{slug}")

    def calls(self, name: str) -> int:
        """How often a method was called."""
        return sum(each.path.endswith(f"/{name}") for each in self.site.requests)


@pytest.fixture
def account(kaggle_emulator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """ann's account, and this process's environment as hers."""
    if importlib.util.find_spec("kagglesdk") is None:
        pytest.skip("Kaggle's client is not installed: requirements/kaggle.lock")
    with kaggle_emulator.KaggleEmulator(tmp_path / "site") as site:
        for name, value in site.environment(Account.USER).items():
            monkeypatch.setenv(name, value)
        yield Account(site, tmp_path)


@pytest.fixture
def running_account(kaggle_emulator: ModuleType, account: Account) -> Account:
    """The same where sessions really run."""
    if kaggle_emulator.why_not():
        pytest.skip(kaggle_emulator.why_not())
    return account


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A bundle of two runs, three steps each, with the real trainer."""
    tokens = np.frombuffer(b"the quick brown fox jumps over the lazy dog. " * 8, dtype=np.uint8)
    tree = {"schema_version": 1, "domain": "language", "model": {}, "training": RECIPE}
    files = {
        f"specs/{SPEC}.json": json.dumps(tree).encode(),
        f"models/{SPEC}.py": MODEL,
        "data/train.safetensors": save({"tokens": tokens.copy()}),
        "data/validation.safetensors": save({"tokens": tokens[:34].reshape(2, 17).copy()}),
        **{f"trainer/{path.name}": path.read_bytes() for path in bundle.TRAINER.glob("*.py")},
    }
    inputs = Inputs(
        schema_version=1,
        cycle="language-kaggle",
        stage="attempt",
        batch=0,
        domain="language",
        generation="G001",
        sealed="5" * 64,
        parent="G000",
        parent_weights="",
        corpus="small",
        digests={},
        files=bundle.digests(files),
        runs=(Run("child-0", "child", 0, SPEC, 11, 3), Run("control-0", "control", 0, SPEC, 12, 3)),
        compute_flops=1000,
        budget=Budget(items=1000, steps=10, memory_bytes=2**31, wall_s=60, disk_bytes=2**22),
        confinement=confine.ISOLATIONS,
    )
    manifest = freeze(inputs, Envelope("0" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", ""))
    return bundle.pack(manifest, files, tmp_path_factory.mktemp("bundle")), manifest
