"""A clean lab from this one: every file of the checked-out commit, and nothing of its history.

Takes a lab in Git and a folder that does not exist. Leaves out the ledger's entries, generations, champions and views
of this lab, so that the new one starts with its own G000. A failure leaves nothing behind. Never touches the lab it
copies from, and runs nobody's hooks.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from aams import git, views
from aams.errors import failure
from aams.files import write_whole
from safety.archive import HISTORY
from safety.ledger import CYCLES

KEPT = (".gitkeep", "README.md")
COMMIT = (
    *("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false"),
    *("-c", "user.name=AAMS", "-c", "user.email=aams@localhost"),
    *("commit", "--quiet", "--message", "A clean lab"),
)


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
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        _copy(root, commit, chosen, part)
        views.write_views(part, ())
        for step in (("init", "--quiet", "--initial-branch=main"), ("add", "--all"), COMMIT):
            git.run_git(part, *step)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return len(chosen)


def _copy(root: Path, commit: str, names: list[str], folder: Path) -> None:
    """Write files as the commit holds them, their executable bit included."""
    executable = git.executable_files(root, commit)
    for name in names:
        content = git.tracked_bytes(root, commit, name)
        if content is None:
            raise failure("can't be read from the commit", commit, "run git fsck", file=name)
        write_whole(folder / name, content)
        if name in executable:
            (folder / name).chmod(0o755)


def _is_history(name: str) -> bool:
    """Whether a file tells of this lab's own life."""
    parts = name.split("/")
    if parts[-1] in KEPT:
        return False
    champion = parts[0] == "specs" and parts[-1] in ("HEAD", "champion.yaml")
    return name.startswith((f"{CYCLES}/", f"{HISTORY}/", "docs/data/")) or champion
