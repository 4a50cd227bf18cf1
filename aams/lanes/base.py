"""What a lane is: a place where bundles are trained. `lanes.LANES` lists them.

A lane keeps no database: a session is found again by its name, which comes from the bundle, so that any process may ask
how it stands, bring its results, or end it. Whatever a lane can't tell for sure is a failure of the infrastructure,
never a success.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from aams.bundle import manifest_in
from aams.errors import LaneError, Problem
from aams.files import digest_file

Report = Callable[[Mapping[str, Any]], None]
"""Takes the trainer's progress events as they come."""
NUMBER = (int, float)
FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "start": {"runs": int, "steps": int},
    "step": {"run": str, "step": int, "steps": int, "loss": NUMBER, "items_per_s": NUMBER},
    "done": {"run": str, "status": str},
}
"""What events of the trainer there are, and what is read of them."""


class Status(StrEnum):
    """How a session stands.

    MISSING is one that was never submitted, or of which nothing is left; FAILED one that ended without results, or of
    which nobody can say how it stands. Submitting again makes another try of both, and of CANCELLED.
    """

    MISSING = "missing"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FIRST_WAIT_S, SLOWER = 0.05, 1.5
ACTIVE = (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Handle:
    """One session: its lane's name and its own."""

    lane: str
    name: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a session stands.

    Attributes:
        said: why it failed, one sentence, or "".
        events: the trainer's, from the one that was asked for on; a lane that sees none gives none.
    """

    status: Status
    said: str = ""
    events: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """What a lane can still take; None is without limit.

    Attributes:
        sessions: that may be submitted now.
        seconds: of its machines.
    """

    sessions: int | None = None
    seconds: float | None = None


class LaneBusyError(LaneError):
    """The lane can take no bundle now; later it may."""


class Lane(Protocol):
    """A place of compute.

    Attributes:
        NAME: as `--lane` has it.
        LASTS: its sessions go on when the command that submitted them ends.
        POLL_S: seconds between two polls, at most: they begin quickly and become rarer.
    """

    NAME: ClassVar[str]
    LASTS: ClassVar[bool]
    POLL_S: ClassVar[float]

    def handle_of(self, bundle: Path) -> Handle:
        """The session of a bundle, whether it was submitted or not."""

    def submit(self, bundle: Path) -> Handle:
        """Have a bundle trained. One that is on its way or done is left as it is; a try that failed is tried again.

        Args:
            bundle: the packed archive.

        Raises:
            LaneBusyError: the lane can take none now.
            LaneError: it can't take this one.
        """

    def poll(self, handle: Handle, seen: int = 0) -> Standing:
        """How a session stands.

        Args:
            seen: how many of its events are known already.

        Raises:
            LaneError: the lane can't be reached.
        """

    def fetch(self, handle: Handle, into: Path) -> Path:
        """Bring the results of a session that is done, not yet believed; the folder that they lie in.

        Args:
            into: a folder to make, whole or not at all, where the lane has none of its own here.

        Raises:
            LaneError: there are none, or they can't be brought.
        """

    def cancel(self, handle: Handle) -> None:
        """End a session; what finished is kept where it can be. One that has ended is left as it is."""

    def discard(self, handle: Handle) -> None:
        """Forget a session that has ended and whose results are kept elsewhere."""

    def sessions(self) -> tuple[Handle, ...]:
        """Sessions that the lane keeps, whoever submitted them; none where nothing lasts."""

    def quota(self) -> Quota:
        """What the lane can still take."""


def session_name(bundle: Path) -> str:
    """A session's name, at most 50 letters, digits and hyphens: what is trained, the bundle, the cycle.

    Raises:
        ResultError: it is no bundle.
    """
    inputs = manifest_in(bundle).inputs
    return f"aams-{inputs.stage}-{inputs.batch}-{digest_file(bundle)[:8]}-{inputs.cycle}"


def train(lane: Lane, bundle: Path, into: Path, report: Report) -> Path:
    """Submit a bundle, follow its session to its end, and bring the results; the folder that they lie in.

    Results that a killed command has brought already are taken as they are. Whoever has put them away discards the
    session.

    Raises:
        LaneError: it ended without results; submitted again, it goes on with what the lane has kept.
        KeyboardInterrupt: the session has ended with it, unless it lasts.
    """
    if into.exists():
        return into
    handle = lane.submit(bundle)
    try:
        standing = _follow(lane, handle, report)
    except BaseException:
        if not lane.LASTS:
            lane.cancel(handle)
        raise
    if standing.status is not Status.DONE:
        said = standing.said or str(standing.status)
        raise LaneError(Problem("the trainer ended without results", said, "run the same command again"))
    return lane.fetch(handle, into)


def put_aside(returned: Path) -> Path:
    """Put results aside that were not accepted, so that they are not taken again; where they lie now, the newest only.

    Whoever does discards their session too: submitted again, the bundle is trained again.
    """
    aside = returned.with_name("refused")
    shutil.rmtree(aside, ignore_errors=True)
    returned.rename(aside)
    return aside


def _follow(lane: Lane, handle: Handle, report: Report) -> Standing:
    seen, wait_s = 0, FIRST_WAIT_S
    while True:
        standing = lane.poll(handle, seen)
        for event in standing.events:
            report(event)
        seen += len(standing.events)
        if standing.status not in ACTIVE:
            return standing
        time.sleep(wait_s)
        wait_s = min(lane.POLL_S, SLOWER * wait_s)


def is_event(found: object) -> bool:
    """Whether something that a trainer printed is an event of ours, with what one must have to be shown."""
    if not isinstance(found, dict) or not isinstance(found.get("event"), str) or found["event"] not in FIELDS:
        return False
    fields = FIELDS[found["event"]]
    return all(
        isinstance(found.get(name), kinds) and not isinstance(found[name], bool) for name, kinds in fields.items()
    )
