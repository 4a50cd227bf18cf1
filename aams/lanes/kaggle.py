"""The Kaggle lane: a bundle goes up as a private data set, and a kernel without internet trains it.

A session has its name from the bundle, so that any process finds it; nothing about it is kept here. It is confined by
nothing of ours: that it holds no secret and reaches nobody is Kaggle's word, and what comes back is believed as little
as anything is. The credential is in the door's own processes, `aams.lanes.kaggle_calls`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from aams.bundle import MAX_BYTES, manifest_in
from aams.canonical import digest, to_data
from aams.confine import Isolation
from aams.errors import LaneError, Problem
from aams.files import digest_file
from aams.lanes.base import ACTIVE, Handle, LaneBusyError, Quota, Standing, Status, is_event, session_name
from aams.lanes.kaggle_calls import KaggleError, ask
from aams.lanes.kaggle_kernel import RESULTS, Parameters, write_dataset, write_kernel
from aams.results_archive import unpack_results
from safety.contract import Contract

CONFINEMENT: Isolation = "none"
PREFIX = "aams-"
MAX_TRIES = 3
"""Versions of one kernel: who failed so often has used enough of the quota."""
MAX_LOG_BYTES = 4 * 1024 * 1024
LOG_S = 5
"""How long the log of a session that goes on is listened to."""
STATUSES: Mapping[str, Status] = MappingProxyType(
    {
        "queued": Status.QUEUED,
        "running": Status.RUNNING,
        "cancelling": Status.RUNNING,
        "complete": Status.DONE,
        "error": Status.FAILED,
        "cancelled": Status.CANCELLED,
        "missing": Status.MISSING,
    }
)
"""The door's words; whatever is not among them is a failure of the infrastructure."""


class Kaggle:
    """Sessions under the account that the environment names."""

    NAME: ClassVar[str] = "kaggle"
    LASTS: ClassVar[bool] = True
    POLL_S: ClassVar[float] = 30.0

    def __init__(self, place: Path, contract: Contract) -> None:
        """Prepare; nobody is asked yet."""
        self._terms = contract.kaggle

    def handle_of(self, bundle: Path) -> Handle:
        """The session that has the bundle's name."""
        return Handle(self.NAME, session_name(bundle))

    def submit(self, bundle: Path) -> Handle:
        """Bring a bundle up and push its kernel, unless its session goes on or is done.

        Raises:
            LaneBusyError: the quota is used up.
            LaneError: the contract wants a confinement, it failed too often, or Kaggle did not take it.
        """
        handle, manifest = self.handle_of(bundle), manifest_in(bundle)
        if self._status(handle)[0] in (*ACTIVE, Status.DONE):
            return handle
        accepted = manifest.inputs.confinement
        if CONFINEMENT not in accepted:
            what, advice = "Kaggle confines nothing as the contract wants", "choose another lane"
            raise LaneError(Problem(what, ", ".join(accepted), advice))
        tries = ask("versions", slug=handle.name)["count"]
        if tries >= MAX_TRIES:
            raise LaneError(Problem("Kaggle failed to train it too often", f"{tries} times", "choose another lane"))
        user = self._check_quota()
        with tempfile.TemporaryDirectory(prefix="aams-") as place:
            data, kernel = Path(place, "data"), Path(place, "kernel")
            write_dataset(data, user, handle.name, bundle)
            ask("put_dataset", slug=handle.name, folder=str(data))
            parameters = Parameters(handle.name, digest_file(bundle), digest(to_data(manifest.inputs)), CONFINEMENT)
            write_kernel(kernel, user, handle.name, parameters, "script", self._terms.machine)
            ask("push", slug=handle.name, folder=str(kernel), limit_s=self._terms.limit_s)
        return handle

    def poll(self, handle: Handle, seen: int = 0) -> Standing:
        """Ask Kaggle; of a session that goes on, its log too."""
        status, said = self._status(handle)
        has_log = status in (Status.RUNNING, Status.DONE)
        return Standing(status, said, self._events(handle.name)[seen:] if has_log else ())

    def fetch(self, handle: Handle, into: Path) -> Path:
        """Bring the archive of results, which must be there alone and whole."""
        if self._status(handle)[0] is not Status.DONE:
            raise LaneError(Problem("there are no results", handle.name, "submit it again"))
        with tempfile.TemporaryDirectory(prefix="aams-") as place:
            found = ask("output", slug=handle.name, names=[RESULTS], folder=place, max_bytes=MAX_BYTES)
            if found["missing"]:
                raise LaneError(Problem("there are no results", handle.name, "cancel it, and submit it again"))
            part = into.with_name(f".{into.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            unpack_results(Path(place, RESULTS), part)
        shutil.rmtree(into, ignore_errors=True)
        part.rename(into)
        return into

    def cancel(self, handle: Handle) -> None:
        """End a session by deleting its kernel, as Kaggle knows no other way."""
        if self._status(handle)[0] in ACTIVE:
            ask("cancel", slug=handle.name)

    def discard(self, handle: Handle) -> None:
        """Delete the kernel and its data."""
        ask("delete_kernel", slug=handle.name)
        ask("delete_dataset", slug=handle.name)

    def sessions(self) -> tuple[Handle, ...]:
        """Every kernel of the account that is named as ours are."""
        return tuple(Handle(self.NAME, one["slug"]) for one in ask("sessions", prefix=PREFIX)["sessions"])

    def quota(self) -> Quota:
        """Sessions that the contract still allows, and seconds of GPU that Kaggle does."""
        return self._quota(ask("quota"))

    def _quota(self, found: Mapping[str, Any]) -> Quota:
        going = [one for one in ask("sessions", prefix=PREFIX)["sessions"] if STATUSES.get(one["status"]) in ACTIVE]
        gpu = found["gpu"] if self._terms.machine else None
        left_s = max(0.0, gpu["allowed_s"] - gpu["used_s"] - gpu["reserved_s"]) if gpu else None
        return Quota(max(0, self._terms.sessions - len(going)), left_s)

    def _check_quota(self) -> str:
        """Whose account it is.

        Raises:
            LaneBusyError: nothing may be submitted now.
        """
        found = ask("quota")
        quota = self._quota(found)
        if quota.sessions == 0:
            got = f"{self._terms.sessions} at a time, by the contract"
            raise LaneBusyError(Problem("no session is free at Kaggle", got, "wait until one ends"))
        if quota.seconds is not None and quota.seconds < self._terms.limit_s:
            got = f"{quota.seconds:,.0f} s of this week are left, a session may take {self._terms.limit_s:,} s"
            raise LaneBusyError(Problem("Kaggle's GPU quota is used up", got, "wait, or choose another lane"))
        return str(found["user"])

    def _status(self, handle: Handle) -> tuple[Status, str]:
        """How a session stands, and why it failed; its log is not asked for."""
        found = ask("status", slug=handle.name)
        status = STATUSES.get(found["status"], Status.FAILED)
        return status, found["said"] or (f"Kaggle calls it {found['status']}" if status is Status.FAILED else "")

    def _events(self, name: str) -> tuple[Mapping[str, Any], ...]:
        """The trainer's events in a log; a log that can't be had is no failure of the session's."""
        try:
            text = ask("logs", LOG_S, slug=name, max_bytes=MAX_LOG_BYTES)["text"]
        except KaggleError:
            return ()
        return tuple(found for line in text.splitlines() if is_event(found := _parsed(line)))


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
