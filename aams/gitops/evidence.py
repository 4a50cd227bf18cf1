"""A cycle's evidence: bundles, results and the arbiter's child, files of a prerelease that is kept until it is decided.

Takes and gives files of a lab's working folder. What is fetched is believed by nobody: a bundle must be the one on
record, results are bound to it by whoever reads them.
"""

from __future__ import annotations

from pathlib import Path

from aams import bundle
from aams.cycle import Lab
from aams.cycle.sealed import CHILD, handed_file
from aams.dispatch import WORK, Dispatch, find
from aams.errors import failure
from aams.github.releases import Release
from aams.github.repository import Repository
from aams.results_archive import unpack_results
from safety.events import Frozen
from safety.manifest import manifest_digest, write_manifest

TAG = "evidence-"
MAX_CHILD_BYTES = 64 * 1024
PAGE = "What a cycle of AAMS needs until it is decided. It goes when its pull request does."


class Evidence:
    """The prerelease of one cycle."""

    def __init__(self, repository: Repository, cycle: str) -> None:
        self.cycle = cycle
        self._release = Release(repository, f"{TAG}{cycle}")

    def keep_bundle(self, dispatch: Dispatch) -> None:
        """Upload a bundle, before its manifest goes on record."""
        self._release.ensure(f"Evidence of {self.cycle}", PAGE, prerelease=True)
        manifest = manifest_digest(dispatch.manifest.inputs)
        self._release.put(bundle_name(dispatch.stage, dispatch.batch, manifest), dispatch.archive.read_bytes())

    def keep_child(self, lab: Lab) -> None:
        """Upload the child that the arbiter handed over, if it did."""
        path = handed_file(lab, self.cycle)
        if path.is_file():
            self._release.put(CHILD, path.read_bytes())

    def keep_results(self, archive: Path, frozen: Frozen) -> None:
        """Upload a trainer's results; those that are there already stay."""
        name = results_name(frozen)
        if name not in self._release.assets():
            self._release.put(name, archive.read_bytes())

    def has_results(self, frozen: Frozen) -> bool:
        """Whether a bundle's results are there."""
        return results_name(frozen) in self._release.assets()

    def drop_results(self, frozen: Frozen) -> None:
        """Take results away that were refused, so that honest ones can come."""
        self._release.remove(results_name(frozen))

    def fetch_bundle(self, frozen: Frozen, place: Path) -> Path:
        """Bring a bundle that is on record into a folder, its manifest beside it.

        Raises:
            AamsError: it is not there, or another one is.
        """
        name = bundle_name(frozen.stage, frozen.batch, frozen.manifest)
        assets = self._release.assets()
        if name not in assets:
            raise failure("its bundle is gone", name, "let its deadline end it", file="github")
        archive = self._release.get(assets[name], place, bundle.MAX_BYTES)
        manifest = bundle.manifest_in(archive)
        if (manifest_digest(manifest.inputs), manifest.envelope.nonce) != (frozen.manifest, frozen.nonce):
            archive.unlink()
            raise failure("is not the bundle on record", name, "let its deadline end the cycle", file="github")
        write_manifest(place / "manifest.json", manifest)
        return archive

    def fetch_results(self, frozen: Frozen, place: Path) -> Path:
        """Bring a bundle's results into a new folder.

        Raises:
            AamsError: they are not there, or no archive of results.
        """
        name = results_name(frozen)
        asset = self._release.assets().get(name)
        if asset is None:
            raise failure("results are gone", name, "let its deadline end the cycle", file="github")
        archive = self._release.get(asset, place, bundle.MAX_BYTES)
        folder = place / name.removesuffix(".zip")
        unpack_results(archive, folder)
        return folder

    def restore(self, lab: Lab) -> Dispatch | None:
        """Lay a cycle's bundles and child where the lab works with them; the last bundle."""
        frozen = [facts for facts in lab.facts(self.cycle) if isinstance(facts, Frozen)]
        work = lab.root / WORK / self.cycle
        assets = self._release.assets()
        if CHILD in assets:
            self._release.get(assets[CHILD], work, MAX_CHILD_BYTES)
        for one in frozen:
            self.fetch_bundle(one, work / f"{one.stage}-{one.batch}")
        return find(lab.root, self.cycle, frozen[-1].stage, frozen[-1].batch) if frozen else None

    def delete(self) -> None:
        """Let it go: the cycle is decided and on record."""
        self._release.delete()


def bundle_name(stage: str, batch: int, manifest: str) -> str:
    """A bundle's file: the manifest's digest is in it, so that two that were frozen at once don't meet."""
    return f"{stage}-{batch}-{manifest[:16]}.bundle.zip"


def results_name(frozen: Frozen) -> str:
    """The file of a bundle's results."""
    return f"{frozen.stage}-{frozen.batch}-{frozen.manifest[:16]}.results.zip"
