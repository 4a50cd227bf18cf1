"""The frozen manifest: everything a training may depend on, declared before it starts.

Takes `Inputs` and their envelope, gives a `Manifest`, writes it read-only and checks a bundle's files against it.
The digest of a manifest is that of its inputs alone, so equal work has an equal digest. Never changes one.
"""

from __future__ import annotations

import re
import secrets
from itertools import pairwise
from pathlib import Path, PurePosixPath

from aams.canonical import SHA256, canonical_json, digest, from_data, to_data
from aams.errors import AamsError, Problem, failure
from aams.files import digest_file, list_files, read_bounded, write_whole
from aams.records import Envelope, Inputs, Manifest
from aams.strict import SLUG, read_json

MANIFEST_NAME = "manifest.json"
TAKEN = ("progress", "results", "rungs")
"""Names of a trainer's own files, which no run's may be mistaken for."""
MAX_MANIFEST_BYTES = 4 * 1024 * 1024


def new_nonce() -> str:
    """Draw 32 random bytes as 64 hexadecimal digits."""
    return secrets.token_hex(32)


def freeze(inputs: Inputs, envelope: Envelope) -> Manifest:
    """Declare one dispatch.

    Raises:
        AamsError: a run, a file or a digest in the inputs is named in a way that could be read as something else.
    """
    manifest = Manifest(inputs, envelope)
    check_manifest(manifest, "manifest")
    return manifest


def manifest_digest(inputs: Inputs) -> str:
    """Digest that names equal work: everything but the envelope."""
    return digest(to_data(inputs))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as canonical JSON, read-only."""
    write_whole(path, canonical_json(to_data(manifest)), read_only=True)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest back, strictly.

    Raises:
        AamsError: it is not canonical JSON of exactly a manifest.
    """
    content = read_bounded(path, MAX_MANIFEST_BYTES)
    data = read_json(content, str(path), MAX_MANIFEST_BYTES)
    manifest = from_data(Manifest, data, str(path))
    if canonical_json(data) != content:
        raise failure("is not canonical JSON", advice="it was changed after it was frozen", file=str(path))
    check_manifest(manifest, str(path))
    return manifest


def check_manifest(manifest: Manifest, source: str) -> None:
    """Hold every name and digest in a manifest against its allowed form.

    Args:
        source: where the manifest came from, to show in errors.

    Raises:
        AamsError: a run, a file or a digest is named in a way that could be read as something else.
    """
    inputs = manifest.inputs
    names = [run.name for run in inputs.runs]
    badly_named = [name for name in (*names, inputs.cycle, inputs.domain) if not SLUG.fullmatch(name) or name in TAKEN]
    badly_named += [name for name in inputs.files if not _is_inside(name)]
    digests = (
        *inputs.files.values(),
        *inputs.digests.values(),
        *(run.spec for run in inputs.runs),
        manifest.envelope.nonce,
        *([inputs.sealed] if inputs.sealed else []),
    )
    badly_named += [value for value in digests if not SHA256.fullmatch(value)]
    if badly_named:
        raise failure("a name or digest is not of the allowed form", repr(badly_named[0][:80]), file=source)
    if len(set(names)) != len(names) or not names:
        raise failure("runs must have names, each its own", ", ".join(names), file=source)
    children = sum(run.arm == "child" for run in inputs.runs)
    levels = [(0, children), *((rung.percent, rung.keep) for rung in inputs.rungs), (100, 0)]
    rises = all(one[0] < other[0] and one[1] > other[1] for one, other in pairwise(levels))
    if inputs.rungs and (inputs.stage != "trial" or not rises):
        raise failure("rungs must rise and keep ever fewer of a trial's children", inputs.stage, file=source)


def check_files(manifest: Manifest, root: Path) -> None:
    """Compare a bundle on disk with its manifest: exactly the declared files, with exactly the declared bytes.

    Raises:
        AamsError: naming every file that is missing, foreign or changed.
    """
    declared = manifest.inputs.files
    found = set(list_files(root)) - {MANIFEST_NAME}
    problems = [
        Problem("is declared in the manifest and missing", file=str(root / name))
        for name in sorted(set(declared) - found)
    ]
    problems += [
        Problem("is not declared in the manifest", file=str(root / name)) for name in sorted(found - set(declared))
    ]
    for name in sorted(found & set(declared)):
        got = digest_file(root / name)
        if got != declared[name]:
            problems.append(
                Problem(f"changed after the freeze: its SHA-256 was {declared[name]}", got, file=str(root / name))
            )
    if problems:
        raise AamsError(*problems)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return (
        bool(re.fullmatch(r"[A-Za-z0-9._/-]{1,200}", name))
        and path.as_posix() == name
        and not path.is_absolute()
        and ".." not in path.parts
    )
