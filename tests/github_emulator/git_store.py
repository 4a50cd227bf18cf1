"""Git's plumbing on one bare repository. It takes and gives object names and bytes; it knows nothing of GitHub.

Every command is the machine's own git with a scrubbed environment: no user's or system's configuration takes part.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ZERO = "0" * 40
STATUSES = {"A": "added", "C": "copied", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}


class GitError(Exception):
    """Git refused; the message is git's own."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a diff does to one file; `patch` is empty for binary files, `before` the old name of a renamed one."""

    path: str
    before: str
    status: str
    blob: str
    additions: int
    deletions: int
    patch: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit's fields; dates as ISO 8601."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str


def git_environment() -> dict[str, str]:
    """The environment of every git command: the search path, and nobody's configuration."""
    return {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LITERAL_PATHSPECS": "1",
    }


class GitStore:
    """A bare repository on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        self.path.mkdir(parents=True)
        self.run("init", "--quiet", "--bare", "--initial-branch", "main")
        self.run("config", "http.receivepack", "true")
        self.run("config", "uploadpack.allowAnySHA1InWant", "true")

    def raw(self, *arguments: str, data: bytes = b"", environment: Mapping[str, str] | None = None) -> bytes:
        """Run git. Raises: GitError, with what git said."""
        done = subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            input=data,
            capture_output=True,
            env={**git_environment(), **(environment or {})},
            check=False,
        )
        if done.returncode:
            raise GitError(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
        return done.stdout

    def run(self, *arguments: str, data: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        return self.raw(*arguments, data=data, environment=environment).decode(errors="replace").strip()

    def succeeds(self, *arguments: str) -> bool:
        try:
            self.raw(*arguments)
        except GitError:
            return False
        return True

    def object_at(self, name: str) -> str | None:
        """The object that a name stands for, an annotated tag's own object included."""
        try:
            return self.run("rev-parse", "--quiet", "--verify", "--end-of-options", name)
        except GitError:
            return None

    def commit_at(self, name: str) -> str | None:
        """The commit that a branch, a tag, a ref or a digest stands for."""
        return self.object_at(f"{name}^{{commit}}")

    def kind(self, name: str) -> str | None:
        """One of blob, tree, commit, tag; None for what is not there."""
        try:
            return self.run("cat-file", "-t", name)
        except GitError:
            return None

    def refs(self, prefix: str) -> dict[str, str]:
        """Object names by ref, of all refs under a prefix."""
        words = self.run("for-each-ref", "--format=%(refname) %(objectname)", prefix).split()
        return dict(zip(words[::2], words[1::2], strict=True))

    def set_ref(self, ref: str, new: str | None, old: str | None) -> None:
        """Compare and swap; `new` None deletes. Raises: GitError when the ref is not at `old` any more."""
        if new is None:
            self.run("update-ref", "-d", ref, old or "")
        else:
            self.run("update-ref", ref, new, old or ZERO)

    def is_ancestor(self, old: str, new: str) -> bool:
        return self.succeeds("merge-base", "--is-ancestor", old, new)

    def merge_base(self, one: str, other: str) -> str | None:
        try:
            return self.run("merge-base", one, other)
        except GitError:
            return None

    def blob(self, name: str) -> bytes:
        return self.raw("cat-file", "blob", name)

    def write_blob(self, data: bytes) -> str:
        return self.run("hash-object", "-w", "--stdin", data=data)

    def list_tree(self, tree: str, *options: str) -> list[tuple[str, str, str, str]]:
        """Mode, kind, object and path of each entry."""
        records = self.raw("ls-tree", "-z", *options, tree).decode(errors="replace").split("\0")
        found = []
        for record in filter(None, records):
            meta, path = record.split("\t", 1)
            mode, kind, name = meta.split()
            found.append((mode, kind, name, path))
        return found

    def write_tree(self, base: str | None, entries: Iterable[tuple[str, str, str | None]]) -> str:
        """A tree like `base` with (path, mode, object) put in; an object None takes the path out."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            if base:
                self.run("read-tree", base, environment=index)
            lines = [f"{mode} {name}\t{path}" if name else f"0 {ZERO}\t{path}" for path, mode, name in entries]
            self.run("update-index", "-z", "--index-info", data="\0".join(lines).encode(), environment=index)
            return self.run("write-tree", environment=index)

    def write_commit(
        self, tree: str, parents: Sequence[str], message: str, author: tuple[str, str, str] | None = None
    ) -> str:
        """`author` is name, email and date."""
        name, email, date = author or ("GitHub", "noreply@github.com", "1970-01-01T00:00:00Z")
        person = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", email), ("DATE", date))
        }
        options = [word for parent in parents for word in ("-p", parent)]
        return self.run("commit-tree", tree, *options, data=message.encode(), environment=person)

    def read_commit(self, name: str) -> Commit:
        form = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B"
        part = self.run("log", "-1", f"--format={form}", name).split("\0")
        author, committer = (part[3], part[4], part[5]), (part[6], part[7], part[8])
        return Commit(part[0], part[1], tuple(part[2].split()), author, committer, part[9].strip())

    def merge_tree(self, base: str, head: str) -> str | None:
        """The tree of a clean merge, None where they conflict."""
        try:
            return self.run("merge-tree", "--write-tree", base, head).split()[0]
        except GitError:
            return None

    def diff(self, base: str, head: str) -> bytes:
        return self.raw("diff", "--full-index", "--binary", base, head)

    def changes(self, base: str, head: str, *, patches: bool = True) -> list[Change]:
        """What differs, file by file."""
        raw = self.raw("diff", "-M", "--raw", "-z", "--abbrev=40", base, head).decode(errors="replace").split("\0")
        counts = {path: (added, deleted) for added, deleted, path in self._counts(base, head)}
        found, position = [], 0
        while position < len(raw) - 1:
            _, _, _, blob, letters = raw[position].split()
            moved = letters[0] in "CR"
            before, path = raw[position + 1], raw[position + 2 if moved else position + 1]
            position += 3 if moved else 2
            added, deleted = counts.get(path, (0, 0))
            patch = ""
            if patches:
                text = self.raw("diff", "-M", base, head, "--", before, path).decode(errors="replace")
                patch = text[text.find("@@") :] if "\n@@" in text else ""
            status = STATUSES.get(letters[0], "modified")
            found.append(Change(path, before if moved else "", status, blob, added, deleted, patch))
        return found

    def _counts(self, base: str, head: str) -> Iterable[tuple[int, int, str]]:
        parts = iter(self.raw("diff", "-M", "--numstat", "-z", base, head).decode(errors="replace").split("\0"))
        for part in filter(None, parts):
            added, deleted, path = part.split("\t", 2)
            if not path:
                next(parts)
                path = next(parts)
            yield int(added) if added != "-" else 0, int(deleted) if deleted != "-" else 0, path
