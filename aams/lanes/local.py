"""The local lane: trains a bundle on this machine, in a confined subprocess that has the bundle and nothing else."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aams import confine
from aams.bundle import unpack
from aams.canonical import digest, to_data
from aams.errors import LaneError, Problem
from aams.lanes.base import Report, Returned

NAME = "local"
GRACE_S = 20.0
PARALLEL_RUNS = 2
"""Runs at a time, on every machine: more would compete for its memory, and spoil the measured times."""


def train(archive: Path, work: Path, report: Report) -> Returned:
    """Train every run of a bundle in a subprocess; finished runs of an interrupted try are kept.

    Raises:
        LaneError: this machine can't confine it as the manifest requires, or the trainer ended without results.
        KeyboardInterrupt: after the trainer has put its finished runs away.
    """
    bundle, out = work / "bundle", work / "out"
    shutil.rmtree(bundle, ignore_errors=True)
    manifest = unpack(archive, bundle)
    accepted = manifest.inputs.confinement
    isolation = confine.isolation(accepted)
    out.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "trainer", str(bundle), str(out)]
    argv += ["--manifest-digest", digest(to_data(manifest.inputs)), "--isolation", isolation]
    argv += ["--workers", str(PARALLEL_RUNS)]
    limits = confine.Limits(file_bytes=manifest.inputs.budget.disk_bytes, cpu_s=2 * manifest.inputs.budget.wall_s)
    argv, environment, isolation = confine.command(
        argv, writable=out, limits=limits, python_path=[bundle], accepted=accepted
    )
    with (work / "trainer.log").open("wb") as log:
        process = confine.start(argv, environment, stderr=log)
        try:
            _follow(process, report)
            status = process.wait()
        except BaseException:
            confine.stop(process, GRACE_S)
            raise
        finally:
            if process.stdout:
                process.stdout.close()
    if status != 0:
        raise LaneError(
            Problem(
                "the trainer ended without results",
                _last_words(work / "trainer.log", status),
                "run the same command again",
            )
        )
    return Returned(out, isolation)


def _follow(process: subprocess.Popen[bytes], report: Report) -> None:
    """Pass the trainer's progress on, line by line; what is no event of ours is left out."""
    for line in process.stdout or ():
        event = _event(line)
        if event:
            report(event)


def _event(line: bytes) -> Mapping[str, Any] | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and event.get("event") in ("start", "step", "done") else None


def _last_words(log: Path, status: int) -> str:
    """What the trainer said last, or how it ended."""
    lines = log.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
    ended = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{lines[-1][:300]} ({ended})" if lines else ended
