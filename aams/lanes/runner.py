"""The runner lane: a machine of one's own, a self-hosted runner at GitHub with the label `cuda`, trains the bundle.

The bundle goes up as a file of a prerelease and the workflow `train.yml` is started on main, with the session's name in
the title of its run, so that any process finds it. GITHUB_REPOSITORY names the repository, AAMS_GITHUB_TOKEN holds a
token that may write its releases and start its workflows: nobody else can bring anything to that machine. The job that
trains holds neither; another one puts the results beside the bundle, where they are taken from, to be distrusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from aams.errors import LaneError, Problem
from aams.files import digest_file
from aams.github.access import open_repository
from aams.github.calls import GitHubError
from aams.github.records import WorkflowRun
from aams.github.repository import Repository
from aams.github.workflows import TRAIN, train_title
from aams.lanes.base import ACTIVE, Handle, Quota, Standing, Status, session_name
from aams.lanes.runner_session import TAG, SessionRelease
from safety.contract import Contract

MACHINE = "cuda"
"""Of `train.yml`'s lanes, the one that is a machine of one's own."""
MAX_TRIES = 3
"""Runs that failed: who failed so often has used enough of the machine."""
STATUSES: Mapping[str, Status] = MappingProxyType(
    {
        "requested": Status.QUEUED,
        "waiting": Status.QUEUED,
        "pending": Status.QUEUED,
        "queued": Status.QUEUED,
        "in_progress": Status.RUNNING,
        "success": Status.DONE,
        "cancelled": Status.CANCELLED,
    }
)
"""GitHub's words for a run; whatever is not among them is a failure."""


class Runner:
    """Sessions at the repository that the environment names."""

    NAME: ClassVar[str] = "runner"
    LASTS: ClassVar[bool] = True
    POLL_S: ClassVar[float] = 30.0
    PATIENCE_S: ClassVar[float] = 120.0
    """How long GitHub may take until a run that was started is there, and one that was cancelled has ended."""
    LOOK_S: ClassVar[float] = 2.0

    def __init__(self, place: Path, contract: Contract) -> None:
        """Prepare; nobody is asked yet."""
        self._known: Repository | None = None

    def handle_of(self, bundle: Path) -> Handle:
        """The session that has the bundle's name."""
        return Handle(self.NAME, session_name(bundle))

    def submit(self, bundle: Path) -> Handle:
        """Bring a bundle up and start the workflow, unless its session goes on or is done.

        Raises:
            LaneError: it failed too often, or GitHub did not take it.
        """
        handle = self.handle_of(bundle)
        with _asking():
            if self._standing(handle).status in (*ACTIVE, Status.DONE):
                return handle
            before = self._runs(handle)
            failed = sum(_status(run) is Status.FAILED for run in before)
            if failed >= MAX_TRIES:
                raise LaneError(Problem("the runner failed to train it too often", f"{failed} times", before[0].url))
            digest = digest_file(bundle)
            SessionRelease(self._repository, handle.name).put_bundle(bundle, digest)
            self._repository.dispatch(TRAIN, {"session": handle.name, "bundle": digest, "lane": MACHINE})
            self._wait(lambda: len(self._runs(handle)) > len(before), "GitHub has not started it yet", handle)
        return handle

    def poll(self, handle: Handle, seen: int = 0) -> Standing:
        """Ask GitHub. It tells no event: the job can write nothing, and its log is shown when it has ended."""
        with _asking():
            return self._standing(handle)

    def fetch(self, handle: Handle, into: Path) -> Path:
        """Bring the archive of results, which must be whole."""
        with _asking():
            if self._standing(handle).status is not Status.DONE:
                raise LaneError(Problem("there are no results", handle.name, "submit it again"))
            SessionRelease(self._repository, handle.name).fetch_results(into)
        return into

    def cancel(self, handle: Handle) -> None:
        """Have its run cancelled, and wait until it has ended: what the machine cleans up comes before that."""
        with _asking():
            going = [run for run in self._runs(handle) if not run.ended]
            for run in going:
                self._repository.cancel_run(run)
            if going:
                self._wait(lambda: all(run.ended for run in self._runs(handle)), "GitHub has not ended it yet", handle)

    def discard(self, handle: Handle) -> None:
        """Delete its bundle and its results. Its run, with its log, is the repository's history and stays."""
        with _asking():
            SessionRelease(self._repository, handle.name).delete()

    def sessions(self) -> tuple[Handle, ...]:
        """Every session whose bundle is at the repository."""
        with _asking():
            tags = self._repository.release_tags()
        return tuple(Handle(self.NAME, tag.removeprefix(TAG)) for tag in tags if tag.startswith(TAG))

    def quota(self) -> Quota:
        """It takes what it is given: runs wait at GitHub for the machine."""
        return Quota()

    @property
    def _repository(self) -> Repository:
        if self._known is None:
            self._known = open_repository()
        return self._known

    def _standing(self, handle: Handle) -> Standing:
        """By the newest run of it; done is one with results, which an older run may have brought."""
        runs = self._runs(handle)
        if not runs:
            return Standing(Status.MISSING)
        status, release = _status(runs[0]), SessionRelease(self._repository, handle.name)
        if any(_status(run) is Status.DONE for run in runs) and release.has_results():
            return Standing(Status.DONE)
        if status is Status.DONE:
            gone = Standing(Status.FAILED, f"its results are gone: {runs[0].url}")
            return gone if release.is_there() else Standing(Status.MISSING)
        said = f"the workflow's run ended as {runs[0].word}: {runs[0].url}" if status is Status.FAILED else ""
        return Standing(status, said)

    def _runs(self, handle: Handle) -> tuple[WorkflowRun, ...]:
        return self._repository.runs_for(TRAIN, train_title(handle.name))

    def _wait(self, met: Callable[[], bool], what: str, handle: Handle) -> None:
        """Look until something is so.

        Raises:
            LaneError: GitHub is slow.
        """
        deadline = time.monotonic() + self.PATIENCE_S
        while not met():
            if time.monotonic() > deadline:
                raise LaneError(Problem(what, handle.name, "run the same command again", file="github"))
            time.sleep(self.LOOK_S)


def _status(run: WorkflowRun) -> Status:
    return STATUSES.get(run.word, Status.FAILED)


@contextmanager
def _asking() -> Iterator[None]:
    """What GitHub refuses is the lane's failure."""
    try:
        yield
    except GitHubError as error:
        raise LaneError(*error.problems) from None
