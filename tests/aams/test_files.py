from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aams.canonical import sha256
from aams.errors import AamsError
from aams.files import (
    digest_file,
    exclusive,
    is_leftover,
    list_files,
    read_bounded,
    write_new,
    write_whole,
)


def test_a_file_is_written_whole_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_whole(path, b"one")
    write_whole(path, b"two", read_only=True)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o444
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    write_new(path, b"first")
    with pytest.raises(AamsError, match="can't be written; got File exists"):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path; from aams.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
        "write_whole(Path(sys.argv[1]), b'x' * 1000)"
    )
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert "can't be written; got File too large; free space" in done.stderr
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["missing", "directory", "link", "fifo", "large"])
def test_only_a_regular_file_within_bounds_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "input"
    if kind == "directory":
        path.mkdir()
    elif kind == "link":
        (tmp_path / "target").write_bytes(b"x")
        path.symlink_to(tmp_path / "target")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b"x" * 101)
    complaint = {
        "missing": "can't be read",
        "directory": "is a directory",
        "link": "is a symbolic link",
        "fifo": "is not a regular file",
        "large": "is larger than 100 bytes; got 101 bytes",
    }[kind]
    with pytest.raises(AamsError, match=complaint):
        read_bounded(path, 100)


def test_a_file_of_exactly_the_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"x" * 100)
    assert len(read_bounded(tmp_path / "input", 100)) == 100


def test_a_large_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom(3 * 1024 * 1024 + 17)
    (tmp_path / "weights").write_bytes(content)
    assert digest_file(tmp_path / "weights") == sha256(content)


def test_files_are_listed_below_a_directory_without_leftovers(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", ".x1.part", "a/.hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list_files(tmp_path) == ("a/.hidden", "a/c.txt", "b.txt")
    assert is_leftover(tmp_path / ".x1.part")


def test_a_link_among_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(AamsError, match="neither a file nor a directory"):
        list_files(tmp_path)


def test_a_second_command_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    complaint = f"another cycle is running; got process {os.getpid()}; wait"
    with exclusive(lock, "cycle"), pytest.raises(AamsError, match=complaint), exclusive(lock, "cycle"):
        pytest.fail("the lock was given twice")
    with exclusive(lock, "cycle"):
        pass


def test_a_lock_that_can_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for lock in (tmp_path, tmp_path / "file" / "lock"):
        with pytest.raises(AamsError, match="can't be locked"), exclusive(lock, "cycle"):
            pytest.fail("there was nothing to hold")
