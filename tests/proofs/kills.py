"""What the kill tests kill, and what they hold against it: processes by where they belong, and every version of a file.

`Watch` sees what a lane writes down of its runs while commands come and go: weights when a run finished, a checkpoint
when it came to a rung. Both are written whole, so that another version is another file. A run whose weights are written
twice was trained again though it had finished; checkpoints that do not become later ones are steps taken twice.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from aams.canonical import to_data
from safety.ledger import read_ledger
from safety.state import fold

LOOK_S, FOLLOW_S = 0.01, 0.03
OUTS = ".aams/work/*/*/out"
TASK = re.compile(r"ray::(_train|(child|control)-[0-9]+)\0")
SINGLE_USE = ("nonce", "results", "proposer", "approver", "archive")
MEASURED = ("cpu_s", "wall_s", "latency_ms", "memory_bytes")
VOLATILE = frozenset({*SINGLE_USE, *MEASURED, "isolation"})
"""Of an entry's facts, what no two trainings have alike: what is used once with its signatures and digests, times and
memory, and how a lane confined its trainer, which is its own affair.
"""

Pids = Callable[[], list[int]]
"""Gives the processes, of which one is to be killed."""


class Watch:
    """Watches a lab's work from a thread. `weights` and `steps` have, by run, every version that was seen."""

    def __init__(self, lab: Path) -> None:
        self._lab = lab
        self._seen: dict[str, tuple[int, int]] = {}
        self.weights: dict[str, int] = {}
        self.steps: dict[str, list[int]] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Nothing that was on disk was trained again."""
        assert self.weights, "no run has finished"
        twice = [run for run, count in self.weights.items() if count > 1]
        assert not twice, f"finished, and trained again: {twice}"
        back = {run: steps for run, steps in self.steps.items() if steps != sorted(set(steps))}
        assert not back, f"went back behind a checkpoint: {back}"

    def _go(self) -> None:
        while not self._stop.wait(LOOK_S):
            with contextlib.suppress(OSError):  # a folder is gone already
                for path in self._lab.glob(f"{OUTS}/*"):
                    if path.suffix in (".safetensors", ".checkpoint") and path.name[0] != ".":
                        with contextlib.suppress(OSError):
                            self._look(path)

    def _look(self, path: Path) -> None:
        name = path.relative_to(self._lab).as_posix()
        with path.open("rb") as stream:
            known = os.fstat(stream.fileno())
            if self._seen.get(name) == (known.st_ino, known.st_mtime_ns):
                return
            run = str(Path(name).with_suffix(""))
            if path.suffix == ".safetensors":
                self.weights[run] = self.weights.get(run, 0) + 1
            else:
                stream.readline()
                header = json.loads(stream.readline())
                self.steps.setdefault(run, []).append(header["outcome"]["steps"])
        self._seen[name] = (known.st_ino, known.st_mtime_ns)


def processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent's number and command line of every process."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            yield int(place.name), parent, (place / "cmdline").read_bytes().decode("utf-8", "replace")


def trainers(place: Path) -> list[int]:
    """The trainers whose folders lie in a place: each trainer's first process, not its runs."""
    own = f"{sys.executable}\0-m\0trainer\0{place}/"
    known = {pid: parent for pid, parent, line in processes() if line.startswith(own)}
    return sorted(pid for pid, parent in known.items() if parent not in known)


def ray_workers(place: Path) -> list[int]:
    """The workers of a cluster that train, or decide who goes on: Ray gives a process the name of its task."""
    known = {pid: (parent, line) for pid, parent, line in processes()}

    def belongs(pid: int) -> bool:
        while pid in known:
            if str(place) in known[pid][1]:
                return True
            pid = known[pid][0]
        return False

    return sorted(pid for pid, (_, line) in known.items() if TASK.match(line) and belongs(pid))


def follow(found: Pids, is_over: Callable[[], bool], lived_s: float = math.inf) -> tuple[list[int], float]:
    """Follow processes that come and go, until there have been some for so long; these, and how long it was."""
    total_s, before = 0.0, time.monotonic()
    while not is_over():
        pids, now = found(), time.monotonic()
        if pids:
            total_s += now - before
            if total_s >= lived_s:
                return pids, total_s
        before = now
        time.sleep(FOLLOW_S)
    return [], total_s


def kill(pids: list[int]) -> bool:
    """Kill -9 the first of them that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def standing(root: Path, cycle: str) -> dict[str, Any]:
    """What a cycle has put on record, in order, but for what no two trainings have alike; and what it left open."""
    ledger = read_ledger(root)
    state, own = fold(ledger), [entry for entry, _ in ledger if entry.cycle == cycle]
    return {
        "events": [entry.event for entry in own],
        "facts": [_without_volatile(to_data(entry.facts)) for entry in own],
        "open": sorted(state.open_cycles),
        "reserved or used": sum(state.month_flops.values()),
    }


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(one) for key, one in value.items() if key not in VOLATILE}
    return [_without_volatile(one) for one in value] if isinstance(value, list) else value
