"""The local lane: trains a bundle on this machine, in a confined subprocess that has the bundle and nothing else."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from aams import confine
from aams.bundle import unpack
from aams.canonical import digest, to_data
from aams.lanes.child import Child
from aams.records import Manifest

PARALLEL_RUNS = 2
"""Runs at a time, on every machine: more would compete for its memory, and spoil the measured times."""


class Local(Child):
    """The session of one dispatch, whose child is the trainer."""

    NAME: ClassVar[str] = "local"
    WORKERS: ClassVar[int] = PARALLEL_RUNS

    def command(self, bundle: Path, out: Path) -> tuple[list[str], Mapping[str, str]]:
        """The trainer, confined.

        Raises:
            LaneError: this machine can't confine it as the manifest requires.
        """
        place = out.with_name("bundle")
        shutil.rmtree(place, ignore_errors=True)
        manifest = unpack(bundle, place)
        return trainer(manifest, place, out, manifest.inputs.confinement, "--workers", str(self.WORKERS))


def trainer(
    manifest: Manifest, place: Path, out: Path, accepted: Collection[str], *options: str
) -> tuple[list[str], Mapping[str, str]]:
    """How the trainer of an unpacked bundle is started, confined to one folder.

    Raises:
        LaneError: this machine can't confine it as accepted.
    """
    budget = manifest.inputs.budget
    argv = [sys.executable, "-m", "trainer", str(place), str(out)]
    argv += ["--manifest-digest", digest(to_data(manifest.inputs)), "--isolation", confine.isolation(accepted)]
    limits = confine.Limits(file_bytes=budget.disk_bytes, cpu_s=2 * budget.wall_s)
    argv, environment, _ = confine.command(
        [*argv, *options], writable=out, limits=limits, python_path=[place], accepted=accepted
    )
    return argv, environment
