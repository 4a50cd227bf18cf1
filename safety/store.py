"""Weights by digest, on this machine only: `.aams/store/<sha256>`. Git holds the digests, never the weights.

Takes files, gives paths whose content was verified when asked for. A fresh clone's store is empty. Never changes or
removes what it holds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from aams.canonical import SHA256
from aams.errors import failure
from aams.files import digest_file, open_regular, sync_directory

STORE = ".aams/store"


def put(root: Path, source: Path, digest: str) -> None:
    """Copy a file into the store under the digest it is known by.

    Raises:
        AamsError: its content has another digest, or the disk is full; the store is unchanged.
    """
    target = _place(root, digest)
    if target.exists() and digest_file(target) == digest:
        return
    temporary = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as copy, open_regular(source) as original:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            os.fchmod(copy.fileno(), 0o444)
            os.fsync(copy.fileno())
        got = digest_file(Path(temporary))
        if got != digest:
            raise failure(f"should have the SHA-256 {digest}", got, "fetch it again", file=str(source))
        Path(temporary).rename(target)
        sync_directory(target.parent)
    except OSError as error:
        raise failure("can't be stored", error.strerror, "free space, then run again", file=str(source)) from error
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()


def get(root: Path, digest: str) -> Path | None:
    """Find a file by digest; None when this machine does not have it.

    Raises:
        AamsError: it is there and its content has another digest.
    """
    path = _place(root, digest)
    if not path.exists():
        return None
    got = digest_file(path)
    if got != digest:
        raise failure(
            "does not hold what its name says", got, "remove it; `aams reproduce` restores it", file=str(path)
        )
    return path


def _place(root: Path, digest: str) -> Path:
    if not SHA256.fullmatch(digest):
        raise failure("is not a SHA-256 digest", repr(digest[:80]))
    return root / STORE / digest
