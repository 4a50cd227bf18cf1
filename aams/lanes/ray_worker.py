"""One errand at a node of a Ray cluster: the bundle's own trainer, confined, for one pass (`--only`).

Takes the bundle's archive and the files that the pass goes on from; gives, as they come, what `train` lists. It lays
everything out in a folder that is gone afterwards. Nothing of the bundle is imported here; Ray is not, either.
"""

from __future__ import annotations

import contextlib
import json
import queue
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aams import confine
from aams.bundle import unpack
from aams.lanes.local import trainer

GRACE_S = 5.0
LOOK_S = 0.2
MAX_SAID = 300
PROGRESS = "progress.json"
"""Of this pass alone."""


@dataclass(frozen=True, slots=True)
class Errand:
    """One pass of the trainer.

    Attributes:
        only: the runs to train; none is a pass that decides, and in the end writes the results.
        files: what the pass goes on from, by name.
        fingerprint: of the environment that the other passes had, or "".
        accepted: isolations that will do.
        spent_s: seconds of the bundle's time that are gone already.
    """

    only: tuple[str, ...]
    files: Mapping[str, bytes]
    fingerprint: str
    accepted: tuple[str, ...]
    checkpoint_s: float
    spent_s: float


def train(archive: bytes, errand: Errand) -> Iterator[tuple[str, Any]]:
    """Do an errand.

    Yields:
        `isolation` and which; `event` and a line of the trainer's progress; `files` and the bytes, by name, of those
        that have changed; `end` with the exit status and the trainer's last words.

    Raises:
        AamsError: this node can't confine as accepted, or it is no bundle.
    """
    with tempfile.TemporaryDirectory(prefix="aams-", ignore_cleanup_errors=True) as base:
        packed, place, out, log = (Path(base, name) for name in ("bundle.zip", "bundle", "out", "log"))
        packed.write_bytes(archive)
        manifest = unpack(packed, place)
        out.mkdir()
        for name, content in errand.files.items():
            (out / name).write_bytes(content)
        folder = _Folder(out)
        yield "isolation", confine.isolation(errand.accepted)
        options = ["--workers", "1", "--checkpoint-s", str(errand.checkpoint_s), "--fingerprint", errand.fingerprint]
        options += ["--spent-s", str(errand.spent_s)]
        argv, environment = trainer(manifest, place, out, errand.accepted, *options, "--only", *errand.only)
        with log.open("wb") as complaints:
            process = confine.start(argv, environment, stderr=complaints)
        try:
            for line in _lines(process.stdout):
                if changed := folder.changed():
                    yield "files", changed
                if line:  # after the files: what is told is there
                    with contextlib.suppress(ValueError):
                        yield "event", json.loads(line)
            status = process.wait()
        finally:  # also when Ray cancels the errand
            confine.stop(process, GRACE_S)
        if changed := folder.changed():
            yield "files", changed
        said = log.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
        yield "end", (status, said[-1][:MAX_SAID] if said else f"exit status {status}")


class _Folder:
    """Says which whole files of a folder have changed since it was asked last."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._seen = self._look()

    def changed(self) -> dict[str, bytes]:
        """Their bytes, by name."""
        seen = self._look()
        names = [name for name, mark in seen.items() if self._seen.get(name) != mark]
        found = {}
        for name in names:
            with contextlib.suppress(OSError):  # a checkpoint whose run has ended meanwhile
                found[name] = (self._out / name).read_bytes()
        self._seen = seen
        return found

    def _look(self) -> dict[str, tuple[int, int]]:
        marks = {}
        for path in self._out.iterdir():
            with contextlib.suppress(OSError):
                known = path.lstat()
                if path.is_file() and not path.is_symlink() and path.name != PROGRESS and path.name[0] != ".":
                    marks[path.name] = (known.st_ino, known.st_mtime_ns)
        return marks


def _lines(stream: IO[bytes] | None) -> Iterator[bytes]:
    """Lines as they come, and b"" now and then: whoever waits in a read can't be cancelled."""
    told: queue.Queue[bytes | None] = queue.Queue()

    def listen() -> None:
        for line in stream or ():
            told.put(line)
        told.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = told.get(timeout=LOOK_S)
        except queue.Empty:
            line = b""
        if line is None:
            return
        yield line
