"""A lane whose session is a child of this process: it prints progress, and leaves its results in a folder.

A session lives as long as the process that submitted it, and holds a lock meanwhile, by which others see that it runs.
What finished stays in its folder, so that the next try goes on there. `Local` and `Ray` say what the child is.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aams import confine
from aams.errors import AamsError, LaneError, Problem
from aams.files import exclusive
from aams.lanes.base import Handle, Quota, Standing, Status, is_event, session_name
from evaluator.results import RESULTS_NAME
from safety.contract import Contract

GRACE_S = 20.0
LOCK = "session.lock"


class Child(ABC):
    """The session of one dispatch, in a folder that is its own and is kept between tries."""

    NAME: ClassVar[str]
    LASTS: ClassVar[bool] = False
    POLL_S: ClassVar[float] = 0.05

    def __init__(self, place: Path, contract: Contract) -> None:
        """Prepare; nothing is written yet."""
        self._place = place
        self._session: _Session | None = None

    @abstractmethod
    def command(self, bundle: Path, out: Path) -> tuple[list[str], Mapping[str, str]]:
        """What trains a bundle into a folder, and its whole environment.

        Raises:
            LaneError: it can't be trained here.
        """

    def handle_of(self, bundle: Path) -> Handle:
        """By its bundle, though the folder is all that tells it from others here."""
        return Handle(self.NAME, session_name(bundle))

    def submit(self, bundle: Path) -> Handle:
        """Start its process, unless its results are there.

        Raises:
            LaneError: it can't be trained here, or another process trains it.
        """
        handle = self.handle_of(bundle)
        if self.poll(handle).status in (Status.RUNNING, Status.DONE):
            return handle
        out = self._place / "out"
        out.mkdir(parents=True, exist_ok=True)
        argv, environment = self.command(bundle, out)
        self._session = _Session(self._place, argv, environment)
        return handle

    def poll(self, handle: Handle, seen: int = 0) -> Standing:
        """How it stands: by its process, by another one's lock, or by what lies in its folder."""
        if self._session:
            return self._session.standing(seen)
        if not self._place.is_dir():
            return Standing(Status.MISSING)
        try:
            with exclusive(self._place / LOCK, "session"):
                is_done = (self._place / "out" / RESULTS_NAME).is_file()
        except AamsError:
            return Standing(Status.RUNNING)
        return Standing(Status.DONE) if is_done else Standing(Status.FAILED, "its process ended before it did")

    def fetch(self, handle: Handle, into: Path) -> Path:
        """The folder that its process wrote."""
        if self.poll(handle).status is not Status.DONE:
            raise LaneError(Problem("there are no results", handle.name, "submit it again"))
        return self._place / "out"

    def cancel(self, handle: Handle) -> None:
        """End the session of this process, after it has put its finished runs away."""
        if self._session:
            self._session.stop()

    def discard(self, handle: Handle) -> None:  # noqa: B027
        """Nothing: the folder is the dispatch's."""

    def sessions(self) -> tuple[Handle, ...]:
        """None: nothing lasts."""
        return ()

    def quota(self) -> Quota:
        """It takes what it is given."""
        return Quota()


class _Session:
    """A process of this one's, and what it has told. It holds the folder's lock until it has ended."""

    def __init__(self, place: Path, argv: list[str], environment: Mapping[str, str]) -> None:
        self._log = place / "trainer.log"
        self._events: list[Mapping[str, Any]] = []
        self._cancelled = False
        with contextlib.ExitStack() as held:
            held.enter_context(exclusive(place / LOCK, "session"))
            with self._log.open("wb") as log:
                self._process = confine.start(argv, environment, stderr=log)
            self._held = held.pop_all()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def standing(self, seen: int) -> Standing:
        """How it stands, with the events from one on."""
        status = self._process.poll()
        if status is None:
            return Standing(Status.RUNNING, events=tuple(self._events[seen:]))
        self._close()
        events = tuple(self._events[seen:])
        if self._cancelled:
            return Standing(Status.CANCELLED, "", events)
        if status:
            return Standing(Status.FAILED, self._last_words(status), events)
        return Standing(Status.DONE, "", events)

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._cancelled = True
            confine.stop(self._process, GRACE_S)
        self._close()

    def _close(self) -> None:
        self._listener.join()
        if self._process.stdout:
            self._process.stdout.close()
        self._held.close()

    def _listen(self) -> None:
        """Take its progress, line by line; what is no event of ours is left out."""
        for line in self._process.stdout or ():
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                if is_event(found):
                    self._events.append(found)

    def _last_words(self, status: int) -> str:
        """What it said last, or how it ended."""
        lines = self._log.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
        ended = f"signal {_signal_name(-status)}" if status < 0 else f"exit status {status}"
        return f"{lines[-1][:300]} ({ended})" if lines else ended


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
