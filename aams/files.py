"""Files that are written whole or not at all, and read within bounds.

Takes paths and bytes. A killed command leaves either the old content or the new one, and at most a hidden `.part` file
that nobody reads. Never follows a symbolic link when it reads something that a stranger may have placed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from aams.errors import failure


def write_whole(path: Path, content: bytes, read_only: bool = False) -> None:
    """Write a file atomically: temporary name, fsync, rename, fsync of the directory.

    Raises:
        AamsError: the disk is full or the place can't be written; the old content is still there.
    """
    _place(path, content, read_only, os.rename)


def write_new(path: Path, content: bytes) -> None:
    """Write a read-only file atomically where there was none.

    Raises:
        AamsError: the name is taken (also by a writer that was quicker), the disk is full or can't be written.
    """
    _place(path, content, True, os.link)


def _place(path: Path, content: bytes, read_only: bool, move: Callable[[str, Path], None]) -> None:
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), 0o444 if read_only else 0o644)
            os.fsync(stream.fileno())
        move(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise failure(
            "can't be written", error.strerror, "free space or mend its permissions, then run again", file=str(path)
        ) from error
    finally:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()


def sync_directory(path: Path) -> None:
    """Make renames inside a directory durable."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading, following no symbolic link.

    Raises:
        AamsError: it is missing, a directory, a link, a device or unreadable.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        what = "is a symbolic link" if path.is_symlink() else "can't be read"
        raise failure(what, error.strerror, "name a regular file", file=str(path)) from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise failure(f"is {kind}", advice="name a regular file", file=str(path))
    with os.fdopen(handle, "rb") as stream:
        yield stream


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of at most `max_bytes`, following no symbolic link.

    Raises:
        AamsError: it is missing, a directory, a link, a device, unreadable or too large.
    """
    with open_regular(path) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise failure(f"is larger than {max_bytes} bytes", f"{path.stat().st_size} bytes", file=str(path))
    return content


def digest_file(path: Path) -> str:
    """SHA-256 of a regular file's bytes, read in pieces, following no symbolic link.

    Raises:
        AamsError: it is missing, unreadable or not a regular file.
    """
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def list_files(root: Path) -> tuple[str, ...]:
    """Name every file below a directory, relative, with `/`, sorted. What a killed writer left is not named.

    Raises:
        AamsError: there is something that is neither a directory nor a regular file.
    """
    names = []
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise failure("is neither a file nor a directory", advice="remove it", file=str(path))
        if stat.S_ISREG(mode) and not is_leftover(path):
            names.append(path.relative_to(root).as_posix())
    return tuple(names)


def is_leftover(path: Path) -> bool:
    """Say whether a killed command may have left this behind: `.something.part`."""
    return path.name.startswith(".") and path.suffix == ".part"


@contextlib.contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file for the length of the block.

    Raises:
        AamsError: somebody else holds it, or it can't be written; nothing was changed.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode("ascii"))
        except BlockingIOError:
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            raise failure(
                f"another {what} is running", f"process {holder}", "wait for it to end, then run again"
            ) from None
        except OSError as error:
            advice = "free space or mend its permissions, then run again"
            raise failure("can't be locked", error.strerror, advice, file=str(path)) from None
        yield
