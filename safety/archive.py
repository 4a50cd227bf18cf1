"""The archive: one directory per generation, written whole, never changed.

Takes the artifacts' bytes and the digest of weights that are in the local store. The weights lie in the directory too
when this machine has them, ignored by Git; `hashes.csv` names their digest everywhere. Files are read-only; the
directory itself stays writable, or Git could not switch branches.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aams.canonical import SHA256, sha256
from aams.errors import AamsError, Problem, failure
from aams.files import digest_file, is_leftover, list_files, read_bounded, sync_directory
from aams.records import Manifest
from compiler import spec as specs
from safety import store
from safety.events import Frozen
from safety.manifest import manifest_digest, read_manifest

HISTORY = "specs/history"
WEIGHTS = "model.safetensors"
HASHES = "hashes.csv"
ARTIFACTS = frozenset(
    {
        "EVAL.md",
        "MODEL_CARD.md",
        "STATUS",
        "config.json",
        "contract.yaml",
        "data_delta.sha256",
        "manifest.json",
        "metrics.json",
        "model.py",
        "parent_gen.txt",
        "spec.yaml",
        "train_args.json",
    }
)
INTERFACES = frozenset({"preprocessor.json", "tokenizer.json"})
PICTURE = "pairs.svg"
OPTIONAL = frozenset({PICTURE, *(f"manifest-{batch}.json" for batch in range(1, 64))})
"""What only some generations have: the manifests of further bundles, and the picture of the pairs."""
MAX_ARTIFACT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checked:
    """What a directory that is right says of its weights: their digest, "" for none, and whether they lie in it."""

    weights: str
    has_weights: bool


def manifest_name(batch: int) -> str:
    """File of one bundle's manifest: `manifest.json`, and `manifest-1.json` and on where an attempt asked for more."""
    return f"manifest-{batch}.json" if batch else "manifest.json"


def archived_manifest(directory: Path, frozen: Frozen) -> Manifest:
    """The manifest of one of a generation's bundles, as it went on record.

    Raises:
        AamsError: it is not in the directory, or another one is.
    """
    path = directory / manifest_name(frozen.batch)
    manifest = read_manifest(path)
    if manifest_digest(manifest.inputs) != frozen.manifest:
        raise failure(
            "is not the manifest that the ledger names", frozen.manifest, "restore it from Git", file=str(path)
        )
    return manifest


def check_judged(directory: Path, spec: str, frozen: Iterable[Frozen]) -> None:
    """See that a generation's directory is of what was judged, and not only whole.

    Args:
        spec: id of what its verdict is about.
        frozen: the bundles that its verdict rests on.

    Raises:
        AamsError: a manifest is not the one on record, or `spec.yaml` is another spec.
    """
    for one in frozen:
        archived_manifest(directory, one)
    found = specs.read(directory / "spec.yaml")
    if found.id != spec:
        raise failure(f"should be the spec {spec}", found.id, "restore it from Git", file=str(directory / "spec.yaml"))


def generation_path(root: Path, domain: str, directory: str) -> Path:
    """Where a generation lies, e.g. `specs/history/language/G001-20261121-014000`."""
    return root / HISTORY / domain / directory


def archive_generation(root: Path, domain: str, directory: str, artifacts: Mapping[str, bytes], weights: str) -> str:
    """Write a generation's directory, whole or not at all.

    Args:
        root: of the repository.
        domain: whose generation it is.
        directory: name of the new directory, as the ledger's state gives it.
        artifacts: content by name: exactly `ARTIFACTS`, at least one of `INTERFACES`, and any of `OPTIONAL`.
        weights: digest of the child's run 0, which is in the store; "" when it returned none.

    Returns:
        Digest of its hashes.csv.

    Raises:
        AamsError: an artifact is missing or foreign, the directory exists, or the disk is full; nothing is left behind.
    """
    missing, foreign = ARTIFACTS - set(artifacts), set(artifacts) - ARTIFACTS - INTERFACES - OPTIONAL
    if missing or foreign or not INTERFACES & set(artifacts):
        names = ", ".join(sorted(missing or foreign or INTERFACES))
        raise failure(
            f"a generation's directory needs exactly its artifacts; {'foreign' if foreign else 'missing'} are", names
        )
    target = generation_path(root, domain, directory)
    if target.exists():
        raise failure("is archived already", advice="a generation is never changed", file=str(target))
    digests = {name: sha256(content) for name, content in artifacts.items()} | ({WEIGHTS: weights} if weights else {})
    hashes = _hashes_csv(digests)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(".part", f".{directory}-", target.parent, ignore_cleanup_errors=True) as name:
            _fill(Path(name), {**artifacts, HASHES: hashes}, store.get(root, weights) if weights else None)
            Path(name).rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise failure("can't be archived", error.strerror, "free space, then run again", file=str(target)) from error
    return sha256(hashes)


def check_generation(path: Path, archive: str) -> Checked:
    """Compare a generation's directory with its hashes.csv, and that with the digest in the ledger.

    Raises:
        AamsError: naming the first file that is missing, foreign or changed.
    """
    if path.is_symlink() or not path.is_dir():
        raise failure("is in the ledger and missing", advice="restore it from Git", file=str(path))
    hashes = read_bounded(path / HASHES, MAX_ARTIFACT_BYTES)
    if sha256(hashes) != archive:
        raise failure(
            f"changed: the ledger names {archive}", sha256(hashes), "restore it from Git", file=str(path / HASHES)
        )
    digests = _read_hashes(hashes, path / HASHES)
    found = set(list_files(path)) - {HASHES}
    for name in sorted(set(digests) - found - {WEIGHTS}):
        raise failure("is in hashes.csv and missing", advice="restore it from Git", file=str(path / name))
    for name in sorted(found):
        if name not in digests:
            raise failure("is not in hashes.csv", advice="remove it", file=str(path / name))
        got = digest_file(path / name)
        if got != digests[name]:
            raise failure(f"changed: hashes.csv names {digests[name]}", got, "restore it", file=str(path / name))
    return Checked(digests.get(WEIGHTS, ""), WEIGHTS in found)


def damage(path: Path, archive: str) -> str:
    """What is wrong with a generation's directory, in one sentence; "" when it is as archived, and read-only."""
    try:
        check_generation(path, archive)
    except AamsError as error:
        return str(error.problems[0])
    writable = [name for name in list_files(path) if (path / name).stat().st_mode & 0o222]
    return f"{writable[0]} is writable" if writable else ""


def protect(path: Path) -> None:
    """Take the right to write from every file of a generation; Git gives it back in a clone."""
    for file in path.iterdir() if path.is_dir() else ():
        if not file.is_symlink() and file.is_file() and file.stat().st_mode & 0o222:
            file.chmod(0o444)


def read_spec(path: Path) -> bytes:
    """Read the spec that a generation's directory archives."""
    return read_bounded(path / "spec.yaml", MAX_ARTIFACT_BYTES)


def sweep(folder: Path) -> None:
    """Remove what a killed command left below a folder. Call it only while no other command writes."""
    for path in sorted(folder.rglob(".*.part")):
        if is_leftover(path):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _hashes_csv(digests: Mapping[str, str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("file", "sha256"), *sorted(digests.items())])
    return text.getvalue().encode("ascii")


def _read_hashes(content: bytes, path: Path) -> dict[str, str]:
    lines = content.decode("ascii", "replace").splitlines()
    rows = [line.split(",") for line in lines[1:]]
    digests = {row[0]: row[-1] for row in rows}
    well_formed = all(
        len(row) == 2 and re.fullmatch(r"[A-Za-z0-9._-]+", row[0]) and SHA256.fullmatch(row[1]) for row in rows
    )
    if not well_formed or len(digests) != len(rows) or _hashes_csv(digests) != content:
        raise AamsError(Problem("is not a sorted list of file,sha256", advice="restore it from Git", file=str(path)))
    return digests


def _fill(folder: Path, files: Mapping[str, bytes], weights: Path | None) -> None:
    for name, content in files.items():
        with (folder / name).open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o444)
            os.fsync(stream.fileno())
    if weights:
        _place_weights(weights, folder / WEIGHTS)
    folder.chmod(0o755)
    sync_directory(folder)


def _place_weights(stored: Path, target: Path) -> None:
    """Link, or copy where links across are impossible. Without space the directory does without: the store has them."""
    try:
        os.link(stored, target)
    except OSError:
        if shutil.disk_usage(target.parent).free > 2 * stored.stat().st_size:
            shutil.copyfile(stored, target)
            target.chmod(0o444)
