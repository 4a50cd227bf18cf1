"""The state of the emulated site, and how a call finds its handler. It knows nothing of HTTP.

Everything here changes under `Site.lock`. Calls are named as the client names them, service and method:
`kagglesdk/kernels/services/kernels_api_service.py`, `kagglesdk/datasets/services/dataset_api_service.py`.
"""

from __future__ import annotations

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .records import WAITING, Blob, Course, Dataset, Json, Kernel, Session

MAX_SESSION_S = 12 * 3600
"""https://www.kaggle.com/docs/notebooks#technical-specifications"""


class RefusalError(Exception):
    """An answer that is not a success; `kagglesdk/kaggle_http_client.py` reads code and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"code": status, "message": message}


class Runner(Protocol):
    """What runs sessions."""

    def start(self, session: Session, inputs: Mapping[str, Path]) -> None:
        """Let a session begin, with its data by path below /kaggle/input."""

    def stop(self, session: Session) -> None:
        """End a session before it is done."""


class Site:
    """All accounts, data sets and kernels. `mounts` is where a data set lies below /kaggle/input."""

    def __init__(self, folder: Path, gpu_sessions: int, cpu_sessions: int, weekly_gpu_s: float, mounts: str) -> None:
        self.folder = folder
        self.url = ""
        self.limits = {True: gpu_sessions, False: cpu_sessions}
        self.weekly_gpu_s = weekly_gpu_s
        self.mounts = mounts
        self.processing_s = 0.1
        self.lock = threading.RLock()
        self.keys: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.blobs: dict[str, Blob] = {}
        self.datasets: dict[str, Dataset] = {}
        self.kernels: dict[str, Kernel] = {}
        self.gone: list[Session] = []
        self.used_gpu_s = 0.0
        self.elsewhere = 0
        self.to_be_dropped: set[str] = set()
        self.courses: list[Course] = []
        self.runner: Runner | None = None
        self.ids = 1000
        self.written = ""

    def next_id(self) -> int:
        self.ids += 1
        return self.ids

    def new_folder(self, kind: str, ref: str) -> Path:
        """An empty folder, also where a site that was killed left one that it had not written down."""
        place = self.folder / kind / ref
        place.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=place))

    def add_token(self, user: str) -> str:
        token = f"KGAT_{secrets.token_hex(16)}"
        self.tokens[token] = user
        return token

    def counted(self, gpu: bool) -> int:
        """Sessions that count against a limit, those included of which nobody can tell whose they are."""
        sessions = [session for kernel in self.kernels.values() for session in kernel.sessions] + self.gone
        active = [each for each in sessions if each.gpu == gpu and each.counts]
        return len(active) + (self.elsewhere if gpu else 0)

    def end(self, session: Session, status: str, failure: str = "") -> None:
        """Close a session's books."""
        if session.gpu and session.started_at:
            self.used_gpu_s += time.monotonic() - session.started_at
        session.status, session.failure = status, failure
        session.counts = session.course == "lingers"

    def used_now_s(self) -> float:
        """GPU seconds of this week: of ended sessions and of those that go on."""
        sessions = [kernel.last for kernel in self.kernels.values()]
        running = [each for each in sessions if each.gpu and each.status in WAITING and each.started_at]
        return self.used_gpu_s + sum(time.monotonic() - each.started_at for each in running)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: from whom, and its message."""

    site: Site
    user: str
    body: Json

    def field(self, name: str) -> Any:
        """A field that must be there."""
        if name not in self.body:
            raise RefusalError(400, f"{name} is required")
        return self.body[name]


Handler = Callable[[Call], Json]


def page(items: list[Json], size: int, start: int) -> tuple[list[Json], str]:
    """A page of a list, and the token of the next one: `next_page_token` is "" on the last."""
    shown = items[start : start + size]
    return shown, str(start + size) if start + size < len(items) else ""
