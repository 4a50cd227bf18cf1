"""The bundle: everything a lane needs for one dispatch, as one content-addressed archive.

Takes a frozen manifest and the bytes it names. Gives a zip archive whose name is its digest and whose bytes depend on
nothing but its content. Opening one never extracts by name: the member set, sizes and digests must be exactly the
manifest's. Holds no credential and nothing of the holdout.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from aams.canonical import canonical_json, from_data, sha256, to_data
from aams.errors import Problem, ResultError, failure
from aams.files import open_regular, write_whole
from aams.records import Interface, Manifest, Spec
from aams.strict import read_json
from compiler.identity import full
from compiler.render import render
from safety.manifest import check_manifest

MANIFEST = "manifest.json"
FOLDERS = ("data/", "models/", "specs/", "trainer/")
MAX_BYTES = 512 * 1024 * 1024
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_DIRECTORY_BYTES = 1024 * 1024
TRAINER = Path(__file__).parent.parent / "trainer"
_END = struct.Struct("<4s4H2LH")
"""A zip archive's last record: signature, four counts, the directory's length and place, the comment's length."""
EPOCH = (1980, 1, 1, 0, 0, 0)


def contents(
    specs: Iterable[Spec], interface: Interface, data: Mapping[str, Mapping[str, np.ndarray[Any, Any]]]
) -> dict[str, bytes]:
    """Every file of a bundle but the manifest, by path.

    Args:
        specs: what the runs train; each is rendered here, with this checkout's templates.
        interface: of the prepared data.
        data: split name to arrays; only train and validation travel.
    """
    from safetensors.numpy import save

    files: dict[str, bytes] = {}
    for spec in specs:
        files[f"specs/{spec.id}.json"] = (json.dumps(full(spec.tree), indent=1) + "\n").encode()
        files[f"models/{spec.id}.py"] = render(spec, interface).encode("ascii")
    for split in ("train", "validation"):
        files[f"data/{split}.safetensors"] = save(dict(sorted(data[split].items())))
    for path in sorted(TRAINER.glob("*.py")):
        files[f"trainer/{path.name}"] = path.read_bytes()
    return files


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of every file, as the manifest declares them."""
    return {path: sha256(content) for path, content in sorted(files.items())}


def pack(manifest: Manifest, files: Mapping[str, bytes], directory: Path) -> Path:
    """Write the archive `<sha256>.zip` into a directory and give its path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in sorted({**files, MANIFEST: canonical_json(to_data(manifest))}.items()):
            archive.writestr(zipfile.ZipInfo(path, EPOCH), content)
    content = buffer.getvalue()
    place = directory / f"{sha256(content)}.zip"
    if not place.exists():
        write_whole(place, content)
    return place


def unpack(archive: Path, directory: Path) -> Manifest:
    """Check an archive against its own manifest and lay it out in a new directory.

    Raises:
        ResultError: the archive is no zip, or its members are not exactly what its manifest names.
        AamsError: its manifest names something that could lie outside of the directory.
    """
    with _opened(archive) as opened:
        manifest = _check_members(opened, archive)
        for path, digest in manifest.inputs.files.items():
            content = opened.read(path)
            if sha256(content) != digest:
                raise zipfile.BadZipFile("it changed while it was read")
            write_whole(directory / path, content)
    write_whole(directory / MANIFEST, canonical_json(to_data(manifest)))
    return manifest


def manifest_in(archive: Path) -> Manifest:
    """The manifest of an archive whose members are exactly what it names.

    Raises:
        ResultError: it is no such archive.
    """
    with _opened(archive) as opened:
        return _check_members(opened, archive)


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """An archive for reading; whatever is wrong with it is one kind of error."""
    with open_regular(archive) as stream:
        try:
            check_end(stream, archive)
            with zipfile.ZipFile(stream) as opened:
                yield opened
        except (zipfile.BadZipFile, struct.error, OSError, RuntimeError, ValueError, EOFError) as error:
            raise ResultError(Problem("is not a readable bundle", str(error), file=str(archive))) from None


def check_end(stream: BinaryIO, archive: Path) -> None:
    """Refuse what would make `zipfile` read much before it lists one member: a directory beyond all measure."""
    size = stream.seek(0, 2)
    if size > MAX_BYTES:
        raise failure(f"is larger than {MAX_BYTES} bytes", f"{size} bytes", file=str(archive))
    stream.seek(max(0, size - _END.size - 20))
    tail = stream.read()
    signature, *_, directory_bytes, start, _ = _END.unpack(tail[-_END.size :])
    is_plain = signature == b"PK\5\6" and not tail.startswith(b"PK\6\7")
    if not is_plain or start + directory_bytes + _END.size != size or directory_bytes > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile("it does not end as a bundle does")


def _check_members(opened: zipfile.ZipFile, archive: Path) -> Manifest:
    """See that the members are exactly what the manifest names, without keeping more than a piece of one."""
    infos = {info.filename: info for info in opened.infolist()}
    if len(infos) != len(opened.infolist()) or MANIFEST not in infos:
        raise ResultError(Problem("names a member twice, or has no manifest", file=str(archive)))
    if sum(info.file_size for info in infos.values()) > MAX_BYTES:
        raise ResultError(Problem(f"would unpack to more than {MAX_BYTES} bytes", file=str(archive)))
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos.values()):
        raise zipfile.BadZipFile("a compressed member")
    if infos[MANIFEST].file_size > MAX_MANIFEST_BYTES:
        raise ResultError(Problem(f"is larger than {MAX_MANIFEST_BYTES} bytes", file=f"{archive}:{MANIFEST}"))
    data = read_json(opened.read(MANIFEST), f"{archive}:{MANIFEST}", MAX_MANIFEST_BYTES)
    manifest = from_data(Manifest, data, f"{archive}:{MANIFEST}")
    check_manifest(manifest, f"{archive}:{MANIFEST}")
    for path in manifest.inputs.files:
        if not path.startswith(FOLDERS):
            raise ResultError(Problem(f"must lie in {' '.join(FOLDERS)}", path, file=f"{archive}:{MANIFEST}"))
    if set(infos) - {MANIFEST} != set(manifest.inputs.files):
        odd = sorted(set(infos) - {MANIFEST} ^ set(manifest.inputs.files))
        raise ResultError(Problem("members differ from the manifest", ", ".join(odd[:3]), file=str(archive)))
    for path, wanted in manifest.inputs.files.items():
        with opened.open(path) as member:
            if hashlib.file_digest(member, "sha256").hexdigest() != wanted:  # type: ignore[arg-type]
                raise ResultError(Problem("differs from its digest in the manifest", file=f"{archive}:{path}"))
    return manifest
