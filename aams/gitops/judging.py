"""The arbiter at the door: the required check of every open pull request, by main's own code.

Takes a checkout of main and the repository on GitHub, gives what was judged. Pull requests are read as data: their
commits are fetched and their trees compared; nothing of theirs is checked out, run or believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aams import git
from aams.errors import failure
from aams.github.records import Check, PullRequest
from aams.github.repository import Repository
from aams.records import Finding
from safety.paths import Kind, changes_between, check_paths, kind_of

CHECK = "aams/arbiter"
BASE = "main"
MAX_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """One pull request, what was said of it, and whether that is new."""

    number: int
    sha: str
    check: Check
    new: bool


def judge_pull_requests(root: Path, repository: Repository, app: int, url: str, token: str) -> tuple[Judged, ...]:
    """Say of every open pull request whether it may be merged without a promotion.

    Args:
        root: a checkout of main with its whole history.
        app: number of the App whose check is required; the token is its.
        url: where Git fetches from.

    Raises:
        AamsError: GitHub or Git fails; what was said so far stays, and the next sweep goes on.
    """
    pulls = [pull for pull in repository.pull_requests() if pull.base == BASE]
    main = git.head_commit(root)
    if main is None:
        raise failure("is no checkout of main", str(root), "clone the repository", file=str(root))
    if pulls:
        git.fetch(root, url, [f"refs/pull/{pull.number}/head" for pull in pulls], token)
    judged = []
    for pull in pulls:
        check = _check(root, main, pull)
        if check:
            judged.append(Judged(pull.number, pull.sha, check, repository.ensure_check(pull.sha, CHECK, app, check)))
    return tuple(judged)


def _check(root: Path, main: str, pull: PullRequest) -> Check | None:
    """What is to be said; None when the branch moved on while it was fetched: the next sweep will see it."""
    if git.commit_of(root, pull.sha) != pull.sha:
        return None
    start = git.merge_base(root, main, pull.sha)
    changes = changes_between(root, start, pull.sha) if start else None
    if changes is None:
        return Check("failure", "it has no history in common with main", "Branch off main, and open it again.")
    findings = check_paths(changes, git.tracked_files(root, pull.sha) or ())
    return _refused(findings) if findings else _passed(kind_of(changes))


def _passed(kind: Kind) -> Check:
    if kind == "spec":
        words = "A spec becomes champion when it is proven to be better, and only so. `aams gate` says how it stands."
        return Check("failure", "a spec is not merged: it is promoted", words)
    return Check(
        "success", "not a promotion", "It moves no HEAD and writes no record. Whether it is good is for people."
    )


def _refused(findings: Sequence[Finding]) -> Check:
    """The findings as Markdown. What a stranger wrote stands in a block that none of it can close."""
    shown = [
        f"{found.subject or '-'}: {', '.join(filter(None, (found.what, found.got)))}; {found.advice}"
        for found in findings[:MAX_SHOWN]
    ]
    more = [f"... and {len(findings) - MAX_SHOWN} more"] if len(findings) > MAX_SHOWN else []
    text = "\n".join([*shown, *more])
    fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", text))]))
    return Check("failure", f"the path policy refuses it ({len(findings)})", f"{fence}text\n{text}\n{fence}")
