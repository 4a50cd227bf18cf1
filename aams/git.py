"""What AAMS asks Git: where the repository is, which commit is checked out, what a commit holds.

Takes paths, gives plain values, or None outside of a repository, without a commit, or without Git. Runs `git` without a
shell and without the caller's GIT_* variables. By itself never commits, never moves a branch and never
touches the caller's files; `worktree` checks a commit out elsewhere.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aams.errors import AamsError, failure

TIMEOUT_S = 120
MAX_PRINTED_BYTES = 64 * 1024 * 1024


def repository_root(folder: Path) -> Path | None:
    """Find the top of the working tree that a folder lies in."""
    answer = _ask(folder, "rev-parse", "--show-toplevel")
    return Path(os.fsdecode(answer.removesuffix(b"\n"))) if answer else None


def head_commit(root: Path) -> str | None:
    """Name the commit that is checked out, 40 or 64 hexadecimal digits."""
    answer = _ask(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    return answer.decode("ascii").strip() if answer else None


def first_commit(root: Path) -> str | None:
    """The commit that a repository began with, the oldest of them if there are several; None outside of Git."""
    answer = _ask(root, "rev-list", "--max-parents=0", "HEAD")
    commits = answer.decode("ascii", "replace").split() if answer else []
    return commits[-1] if commits and _is_commit(commits[-1]) else None


def is_clean(root: Path) -> bool | None:
    """Say whether the working tree equals the commit, untracked files that are not ignored included."""
    if head_commit(root) is None:
        return None
    answer = _ask(root, "status", "--porcelain", "-z")
    return None if answer is None else not answer


def tracked_files(root: Path, commit: str) -> tuple[str, ...] | None:
    """Name the files of a commit, sorted; paths relative to the repository's root."""
    if not _is_commit(commit):
        return None
    answer = _ask(root, "ls-tree", "-r", "-z", "--full-tree", "--name-only", commit, "--")
    return None if answer is None else tuple(sorted(os.fsdecode(name) for name in answer.split(b"\0") if name))


def executable_files(root: Path, commit: str) -> frozenset[str]:
    """Name those files of a commit that it holds as executable."""
    answer = _ask(root, "ls-tree", "-r", "-z", "--full-tree", commit, "--") if _is_commit(commit) else None
    entries = [entry.partition(b"\t") for entry in (answer or b"").split(b"\0")]
    return frozenset(os.fsdecode(name) for mode, _, name in entries if mode.startswith(b"100755 "))


def tracked_bytes(root: Path, commit: str, path: str) -> bytes | None:
    """Read one file as a commit holds it; None when it does not hold such a file."""
    if not _is_commit(commit):
        return None
    return _ask(root, "cat-file", "blob", f"{commit}:{path}")


def commits_that_changed(root: Path, path: str) -> tuple[str, ...]:
    """Name the commits of the checked-out branch itself that changed a file, newest first.

    Of a branch that was merged only the merge counts: what it was in between was in force nowhere.
    """
    answer = _ask(root, "log", "--first-parent", "--format=%H", "HEAD", "--", path)
    return tuple(commit for commit in (answer or b"").decode("ascii", "replace").split() if _is_commit(commit))


def fetch(root: Path, url: str, refs: Sequence[str], token: str = "") -> None:
    """Bring commits here as data: no tag, no branch and no file changes, and every object is checked.

    Args:
        url: of the other repository.
        refs: full names there, e.g. `refs/pull/7/head`.
        token: for HTTP.

    Raises:
        AamsError: Git can't get them, or an object is malformed.
    """
    options = ("-c", "fetch.fsckObjects=true", "-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never")
    quiet = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
    run_git(root, *options, "fetch", *quiet, "--", url, *refs, settings=_secret(token))


def _secret(token: str) -> dict[str, str]:
    """Settings that send a token, in the environment, where no other user of the machine can read it."""
    if not token:
        return {}
    header = base64.b64encode(f"x-access-token:{token}".encode()).decode("ascii")
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {header}",
    }


def merge_base(root: Path, one: str, other: str) -> str | None:
    """The newest commit that two commits both descend from."""
    if not (_is_commit(one) and _is_commit(other)):
        return None
    answer = _ask(root, "merge-base", one, other)
    return answer.decode("ascii").strip() if answer else None


def merged_tree(root: Path, one: str, other: str) -> str | None:
    """The tree that merging two commits gives, nothing checked out; None where they conflict or share no history."""
    if not (_is_commit(one) and _is_commit(other)):
        return None
    answer = _ask(root, "merge-tree", "--write-tree", "--no-messages", one, other)
    return answer.decode("ascii").strip() if answer else None


def message_of(root: Path, tip: str, subject: str) -> str:
    """The whole message of the newest commit, up to one, whose message has a subject; "" without one."""
    answer = _ask(root, "log", "-n1", "--format=%B", "--fixed-strings", f"--grep={subject}", tip, "--")
    return (answer or b"").decode("utf-8", "replace")


def commit_of(root: Path, name: str) -> str | None:
    """The commit that a branch, a tag or a commit's own name stands for."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,200}", name):
        return None
    answer = _ask(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    return answer.decode("ascii").strip() if answer else None


def changed_entries(root: Path, before: str, after: str) -> tuple[tuple[str, str, str], ...] | None:
    """Every entry that differs between two commits: its path and its mode before and after, "" where there is none."""
    if not (_is_commit(before) and _is_commit(after)):
        return None
    answer = _ask(root, "diff-tree", "-r", "-z", "--raw", "--no-renames", before, after, "--")
    if answer is None:
        return None
    words = answer.split(b"\0")[:-1]
    found = []
    for said, name in zip(words[::2], words[1::2], strict=True):
        modes = [mode.decode("ascii").lstrip(":") for mode in said.split()[:2]]
        old, new = ("" if mode == "000000" else mode for mode in modes)
        found.append((os.fsdecode(name), old, new))
    return tuple(found)


def written_by(root: Path, start: str, tip: str) -> frozenset[str]:
    """Addresses of all who are named as author or committer between two commits."""
    if not (_is_commit(start) and _is_commit(tip)):
        return frozenset()
    answer = _ask(root, "log", "--format=%ae%n%ce", f"{start}..{tip}", "--") or b""
    return frozenset(answer.decode("utf-8", "replace").split())


def commit_files(
    root: Path, parent: str, files: Mapping[str, bytes | None], message: str, author: str, time: str
) -> str:
    """Write a commit that adds, replaces or, with None, removes files of another; nothing is checked out.

    Args:
        author: as in `name <address>`; author and committer are one.
        time: UTC, as in `2026-11-21T01:40:00Z`: equal arguments give the same commit.

    Returns:
        Its name.
    """
    name, _, address = author.rstrip(">").partition(" <")
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        run_git(root, "read-tree", parent, settings=index)
        for path, content in sorted(files.items()):
            if content is None:
                run_git(root, "update-index", "--force-remove", "--", path, settings=index)
                continue
            blob = run_git(root, "hash-object", "-w", "--stdin", content=content).decode("ascii").strip()
            run_git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", settings=index)
        tree = run_git(root, "write-tree", settings=index).decode("ascii").strip()
    person = {"NAME": name, "EMAIL": address, "DATE": time}
    settings = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    answer = run_git(root, "commit-tree", tree, "-p", parent, "-m", message, settings=settings)
    return answer.decode("ascii").strip()


def push(root: Path, url: str, commit: str, branch: str, expected: str, token: str = "") -> None:
    """Move a branch of another repository to a commit, if it still is where it was seen last.

    Args:
        expected: the commit it was at; "" when there was no such branch.

    Raises:
        AamsError: it has moved meanwhile, or is not to be moved.
    """
    lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
    hooks = ("-c", "core.hooksPath=/dev/null")
    run_git(root, *hooks, "push", "--quiet", lease, "--", url, f"{commit}:refs/heads/{branch}", settings=_secret(token))


@contextlib.contextmanager
def worktree(root: Path, commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a new folder for the length of the block, beside whatever is checked out now.

    Raises:
        AamsError: Git does not have the commit, or the folder is not empty.
    """
    if (
        not _is_commit(commit)
        or _ask(root, "worktree", "add", "--detach", "--quiet", "--", str(folder), commit) is None
    ):
        raise failure(
            "Git can't check this commit out",
            commit[:80],
            "fetch it, and name a folder that does not exist",
            file=str(folder),
        )
    try:
        yield folder
    finally:
        _ask(root, "worktree", "remove", "--force", "--", str(folder))


def _is_commit(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", text))


def _ask(folder: Path, *arguments: str) -> bytes | None:
    try:
        return run_git(folder, *arguments)
    except AamsError:
        return None


def run_git(folder: Path, *arguments: str, settings: Mapping[str, str] | None = None, content: bytes = b"") -> bytes:
    """Run one Git command in a folder and give what it printed.

    Args:
        settings: environment variables for it alone.
        content: what it reads.

    Raises:
        AamsError: there is no Git, or it refused, or it took longer than `TIMEOUT_S`, or printed more than
            `MAX_PRINTED_BYTES`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(settings or {})}
    with tempfile.TemporaryFile() as printed:
        try:
            answer = subprocess.run(
                ["git", *arguments],
                cwd=folder,
                env=environment,
                input=content,
                stdout=printed,
                stderr=subprocess.PIPE,
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise failure("Git can't be run", str(error)[:200], "install git", file=str(folder)) from None
        if answer.returncode != 0:
            said = answer.stderr.decode("utf-8", "replace").strip()
            raise failure("Git refused", said[:200] or f"exit status {answer.returncode}", file=str(folder))
        size = printed.seek(0, os.SEEK_END)
        if size > MAX_PRINTED_BYTES:
            raise failure("Git prints more than can be meant", f"{size:,} bytes", file=str(folder))
        printed.seek(0)
        return printed.read()
