"""What the emulated site keeps: people, data sets, kernels and their sessions. Plain data; it knows no rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

Course = Literal["runs", "stuck", "queued", "fails", "lingers", "partial", "empty", "strange"]
"""What becomes of a session; `emulator.KaggleEmulator.next_session` says what each one means."""

WAITING = ("QUEUED", "RUNNING", "CANCEL_REQUESTED")
"""Names of `KernelWorkerStatus` under which a session counts against the limit; what it goes through to its end."""


@dataclass(slots=True)
class Blob:
    """One uploaded file; nothing is at its place until all of it is there."""

    name: str
    size: int
    place: Path


@dataclass(slots=True)
class DatasetVersion:
    """The files of one version, as a kernel finds them, and when the site is done with them."""

    folder: Path
    notes: str
    ready_at: float
    failed: bool = False


@dataclass(slots=True)
class Dataset:
    """A data set by owner and slug."""

    id: int
    ref: str
    title: str
    private: bool
    versions: list[DatasetVersion] = field(default_factory=list)


@dataclass(slots=True)
class Session:
    """One version of a kernel, and the run of it."""

    id: int
    version: int
    request: Json
    folder: Path
    gpu: bool
    course: Course
    status: str = "QUEUED"
    failure: str = ""
    counts: bool = True
    started_at: float = 0.0
    log: list[Json] = field(default_factory=list)
    token: str = ""

    @property
    def working(self) -> Path:
        """What is /kaggle/working inside."""
        return self.folder / "working"


@dataclass(slots=True)
class Kernel:
    """A kernel by owner and slug, with a session for each version."""

    id: int
    ref: str
    title: str
    sessions: list[Session] = field(default_factory=list)

    @property
    def last(self) -> Session:
        return self.sessions[-1]
