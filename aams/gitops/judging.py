"""The arbiter at the door: the required check of every open pull request, by main's own code.

Takes a checkout of main and the repository on GitHub, gives what was judged. Pull requests are read as data: their
commits are fetched and their trees compared; nothing of theirs is checked out, run or believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aams import git
from aams.errors import AamsError, failure
from aams.github.calls import GitHubError
from aams.github.records import Check, PullRequest
from aams.github.repository import AUTHOR_ADDRESS, BASE
from aams.gitops.proposals import is_ours
from aams.gitops.workshop import Site, fetch_pull
from aams.records import Finding
from evaluator.markdown import block
from safety.paths import Kind, changes_between, check_paths, kind_of

CHECK = "aams/arbiter"
MAX_SHOWN = 20
UNREADABLE = Check("failure", "Git can't read it", "Its commits can't be fetched, or Git finds them malformed.")


@dataclass(frozen=True, slots=True)
class Judged:
    """One pull request, what was said of it, and whether that is new."""

    number: int
    sha: str
    check: Check
    new: bool


def judge_pull_requests(site: Site, app: int) -> tuple[Judged, ...]:
    """Say of every open pull request that is not the bot's whether it may be merged without a promotion.

    Args:
        app: number of the App whose check is required; the token is its.

    Raises:
        AamsError: GitHub or Git fails; what was said so far stays, and the next sweep goes on.
    """
    repository = site.repository
    main = git.head_commit(site.root)
    if main is None:
        raise failure("is no checkout of main", str(site.root), "clone the repository", file=str(site.root))
    judged = []
    for pull in repository.pull_requests():
        if pull.base != BASE or is_ours(pull, repository):
            continue
        try:
            check = _check(site.root, main, pull) if fetch_pull(site, pull.number) else UNREADABLE
        except GitHubError:
            raise
        except AamsError:  # what is too much for Git must not keep the others waiting
            check = UNREADABLE
        if check:
            judged.append(Judged(pull.number, pull.sha, check, repository.ensure_check(pull.sha, CHECK, app, check)))
    return tuple(judged)


def _check(root: Path, main: str, pull: PullRequest) -> Check | None:
    """What is to be said; None when the branch moved on while it was fetched: the next sweep will see it."""
    if git.commit_of(root, pull.sha) != pull.sha:
        return None
    if AUTHOR_ADDRESS in git.written_by(root, main, pull.sha):
        words = "It stands on commits of the bot's that are not on main. Branch off main, and open it again."
        return Check("failure", "it holds what the bot proposed", words)
    merged = git.merged_tree(root, main, pull.sha)
    changes = changes_between(root, main, merged) if merged else None
    if merged is None or changes is None:
        words = "It shares no history with main, or conflicts with it. Branch off main, and open it again."
        return Check("failure", "it can't be merged into main", words)
    findings = check_paths(changes, git.tracked_files(root, merged) or ())
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
    return Check("failure", f"the path policy refuses it ({len(findings)})", block("\n".join([*shown, *more])))
