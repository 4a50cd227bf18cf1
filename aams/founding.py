"""A clean lab from this one: every file of the checked-out commit, and nothing of its history.

Takes a lab in Git and a folder that does not exist. Leaves out the ledger's entries, generations, champions and views
of this lab, so that the new one starts with its own G000. Never touches the lab it copies from.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from aams import git, views
from aams.errors import failure
from aams.files import write_whole
from safety.archive import HISTORY
from safety.ledger import CYCLES

KEPT = ".gitkeep"


def found_lab(root: Path, folder: Path) -> int:
    """Copy the commit's files into a new folder and make it a Git repository with one commit.

    Returns:
        How many files the new lab has.

    Raises:
        AamsError: the folder exists, this lab is not in Git, or Git can't commit.
    """
    commit = git.head_commit(root)
    names = git.tracked_files(root, commit) if commit else None
    if commit is None or names is None:
        raise failure(
            "a new lab is made from a commit", "no Git repository with a commit", "clone AAMS with git", file=str(root)
        )
    if folder.exists():
        raise failure("exists already", advice="name a folder that does not exist", file=str(folder))
    chosen = [name for name in names if not _is_history(name)]
    for name in chosen:
        content = git.tracked_bytes(root, commit, name)
        if content is None:
            raise failure("can't be read from the commit", commit, "run git fsck", file=name)
        write_whole(folder / name, content)
        if os.access(root / name, os.X_OK):
            (folder / name).chmod(0o755)
    views.write_views(folder, ())
    _commit(folder)
    return len(chosen)


def _is_history(name: str) -> bool:
    """Whether a file tells of this lab's own life."""
    parts = name.split("/")
    if parts[-1] == KEPT:
        return False
    champion = parts[0] == "specs" and parts[-1] in ("HEAD", "champion.yaml")
    return name.startswith((f"{CYCLES}/", f"{HISTORY}/", "docs/data/")) or champion


def _commit(folder: Path) -> None:
    steps = (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "--all"],
        ["-c", "user.name=AAMS", "-c", "user.email=aams@localhost", "commit", "--quiet", "--message", "A clean lab"],
    )
    for step in steps:
        answer = subprocess.run(["git", *step], cwd=folder, capture_output=True, text=True)
        if answer.returncode != 0:
            raise failure("Git can't make the new lab's first commit", answer.stderr.strip()[:200], file=str(folder))
