"""Kaggle on 127.0.0.1, for tests: data sets, kernels whose code really runs, quota and limits, as its client knows it.

It takes people and gives credentials and what the client's environment must hold. A script runs as a script and a
notebook cell by cell, in a sandbox with /kaggle/input and /kaggle/working. Each rule is documented where it is
enforced, with its source: the client that `requirements/kaggle.lock` locks, Kaggle's pages, or an issue of its tracker.
It never resolves a name and never leaves 127.0.0.1. Another one on the same folder goes on where it was, at the same
address (`books`); as a process of its own it may be killed (`__main__`).

Not emulated: Kaggle's image and accelerators (a session has the tests' Python and torch; a GPU session counts as one
and has none), internet in sessions, competitions, models, kernels as sources, secrets, search, collaborators, other
languages than Python, Jupyter's magics, versions that are saved without a run.
"""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from . import books
from .faults import Fault
from .records import Course, Dataset, Kernel
from .sandbox import why_not
from .server import Exchange, Server
from .sessions import Sessions
from .site import Site

__all__ = ["KaggleEmulator", "why_not"]


class KaggleEmulator:
    """A running site.

    Args:
        folder: where data sets and sessions live.
        gpu_sessions: how many may go on at once; two, by what people met:
            https://github.com/adapter-hub/playground/pull/4
        cpu_sessions: the same without an accelerator.
        weekly_gpu_s: https://www.kaggle.com/docs/efficient-gpu-usage
        mounts: where a session finds a data set: /kaggle/input/<slug>, or /kaggle/input/datasets/<owner>/<slug>.
    """

    def __init__(
        self,
        folder: Path,
        *,
        gpu_sessions: int = 2,
        cpu_sessions: int = 5,
        weekly_gpu_s: float = 30 * 3600,
        mounts: Literal["by slug", "by owner"] = "by slug",
    ) -> None:
        self.site = Site(folder, gpu_sessions, cpu_sessions, weekly_gpu_s, mounts)
        books.read(self.site)
        self._sessions = self.site.runner = Sessions(self.site)
        self._server = Server(self.site)
        with self.site.lock:
            folder.mkdir(parents=True, exist_ok=True)
            books.write(self.site)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, let hanging requests go, kill what still runs."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._sessions.close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.site.url

    @property
    def requests(self) -> list[Exchange]:
        """All requests so far, oldest first."""
        return self._server.requests

    def user(self, name: str) -> str:
        """A person's key."""
        with self.site.lock:
            key = self.site.keys.setdefault(name, secrets.token_hex(16))
            books.write(self.site)
            return key

    def token(self, name: str) -> str:
        """An access token of a person."""
        with self.site.lock:
            token = self.site.add_token(name)
            books.write(self.site)
            return token

    def environment(self, name: str) -> dict[str, str]:
        """What makes the client speak to this site as somebody: it always dials localhost, through a proxy."""
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_USERNAME": name,
            "KAGGLE_KEY": self.user(name),
            "http_proxy": self.url,
            "no_proxy": "127.0.0.1",
            "NO_PROXY": "127.0.0.1",
        }

    def dataset(self, ref: str) -> Dataset | None:
        """The data set `owner/slug`."""
        return self.site.datasets.get(ref)

    def kernel(self, ref: str) -> Kernel | None:
        """The kernel `owner/slug`, with its sessions and their logs."""
        return self.site.kernels.get(ref)

    def wait_for_sessions(self, timeout_s: float = 120) -> None:
        """Wait until every session has ended that is going to. Raises: TimeoutError."""
        self._sessions.wait(timeout_s)

    def next_session(self, *courses: Course) -> None:
        """Say what becomes of the next sessions to be pushed, in order; all others simply run.

        - stuck: it says RUNNING, and nothing runs
        - queued: it never starts
        - fails: it ends with an error of the site's own
        - lingers: it runs, and counts against the limit after its end
        - partial: it runs, and its outputs are cut in the middle
        - empty: it runs, and nothing of its outputs is there
        - strange: it ends with a status that no client knows
        """
        self.site.courses.extend(courses)

    def phantom_sessions(self, count: int) -> None:
        """Let GPU sessions count that no call shows: somebody's in a browser, or forgotten ones."""
        self.site.elsewhere = count

    def drop_dataset(self, ref: str) -> None:
        """Leave a data set out of every kernel that asks for it from now on."""
        self.site.to_be_dropped.add(ref)

    def fail_processing(self, ref: str) -> None:
        """Let the newest version of a data set be one that could not be read."""
        self.site.datasets[ref].versions[-1].failed = True

    def fail_next(
        self,
        path: str,
        status: int | Literal["silent", "hung up", "cut"],
        *,
        times: int = 1,
        carried_out: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        """Let the next requests fail in whose path the regular expression is found: /api/v1/SERVICE/METHOD for a call.

        "silent" never answers, "hung up" closes the connection, "cut" stops in the middle of the answer. `carried_out`
        requests take effect all the same: only their answer is lost.
        """
        self._server.faults.add(path, Fault(status, carried_out, retry_after_s), times)
