"""What a session of the runner lane keeps at GitHub: its bundle and its results, two files of a prerelease.

Takes a session's name and files, gives files back. Whoever can write to the repository can put anything there, so a
bundle is taken by the digest that it was asked for, and only if it is confined as main's contract says; results are
believed by nobody yet.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from aams.bundle import MAX_BYTES, manifest_in
from aams.errors import AamsError, LaneError, Problem, failure
from aams.files import digest_file, read_bounded
from aams.github.releases import Release
from aams.github.repository import Repository
from aams.lanes.base import session_name
from aams.results_archive import unpack_results

TAG = "session-"
RESULTS = "results.zip"
NAME, DIGEST = re.compile("[a-z0-9]+(-[a-z0-9]+)*"), re.compile("[0-9a-f]{64}")
PAGE = "A bundle that a person has trained with `--lane runner`. It goes when its results are taken."


class SessionRelease:
    """The prerelease of one session, which may not be there yet."""

    def __init__(self, repository: Repository, name: str) -> None:
        """Prepare; nothing is asked yet.

        Raises:
            AamsError: no session can have this name.
        """
        if not NAME.fullmatch(name):
            raise failure("names no session", name[:80], "give the name that the lane gave it")
        self._name = name
        self._release = Release(repository, f"{TAG}{name}")

    def put_bundle(self, archive: Path, digest: str) -> None:
        """Have the bundle be there, under its digest."""
        self._release.ensure(self._name, PAGE, prerelease=True)
        self._release.put(_bundle_name(digest), read_bounded(archive, MAX_BYTES))

    def fetch_bundle(self, digest: str, place: Path, confinement: Collection[str]) -> Path:
        """Bring the bundle of a digest into a folder.

        Args:
            confinement: of main's contract; the bundle must accept exactly that, no less.

        Raises:
            AamsError: it is not there, it is another one, or it would be confined otherwise.
        """
        asset = self._release.assets().get(_bundle_name(digest)) if DIGEST.fullmatch(digest) else None
        if asset is None:
            raise failure("there is no such bundle", f"{self._name}, {digest[:80]}", "submit it again", file="github")
        archive = self._release.get(asset, place, MAX_BYTES)
        try:
            self._check(archive, digest, confinement)
        except AamsError:
            archive.unlink()
            raise
        return archive

    def _check(self, archive: Path, digest: str, confinement: Collection[str]) -> None:
        if digest_file(archive) != digest or session_name(archive) != self._name:
            raise failure("is not the bundle of its name", self._name, "find out who put it there", file="github")
        accepted = manifest_in(archive).inputs.confinement
        if set(accepted) != set(confinement):
            advice = "have safety/contract.yaml be the same on main and where it was frozen"
            raise failure("accepts another confinement than main's contract", ", ".join(accepted), advice)

    def keep_results(self, archive: Path) -> None:
        """Put a trainer's results beside the bundle; those that are there already stay."""
        if RESULTS not in self._release.assets():
            self._release.put(RESULTS, read_bounded(archive, MAX_BYTES))

    def has_results(self) -> bool:
        """Whether results are there."""
        return RESULTS in self._release.assets()

    def fetch_results(self, into: Path) -> None:
        """Bring the results into a folder that is made, whole or not at all.

        Raises:
            LaneError: there are none.
            ResultError: they are no archive of results.
        """
        asset = self._release.assets().get(RESULTS)
        if asset is None:
            raise LaneError(Problem("there are no results", self._name, "submit it again"))
        with tempfile.TemporaryDirectory(prefix="aams-") as place:
            archive = self._release.get(asset, Path(place), MAX_BYTES)
            part = into.with_name(f".{into.name}.part")
            shutil.rmtree(part, ignore_errors=True)
            unpack_results(archive, part)
        part.rename(into)

    def is_there(self) -> bool:
        """Whether anything of the session is there."""
        return bool(self._release.assets())

    def delete(self) -> None:
        """Let it go."""
        self._release.delete()


def _bundle_name(digest: str) -> str:
    return f"{digest}.bundle.zip"
