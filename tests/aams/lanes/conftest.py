"""An emulated Kaggle that the door reaches as anybody reaches Kaggle, and a bundle that trains in a second."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aams.canonical import digest, sha256, to_data
from aams.lanes.kaggle_calls import ask
from aams.lanes.kaggle_kernel import Kind, Machine, Parameters, write_dataset, write_kernel
from aams.records import Manifest
from tests.aams.lanes.bundles import packed


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
    return packed(tmp_path_factory.mktemp("bundle"))
