"""A person's wish to have a spec trained: a pull request with one spec, labelled by a maintainer.

Takes pull requests as data, gives the bytes of their specs by commit: from there on the bot proposes them in a pull
request of its own, so that a fork's wish is trained as any other, and an owner's own can be approved by that owner.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aams import git
from aams.errors import failure
from aams.files import write_whole
from aams.github.records import PullRequest
from aams.github.repository import BASE, Repository
from aams.gitops.proposals import is_ours
from aams.gitops.workshop import Site, Workshop, fetch_pull
from safety.paths import SPEC, changes_between, check_paths, kind_of

LABEL = "train"
MARK = "<!-- aams:wish -->"
FROM = "Wished for in #{number} by `{author}`, at `{sha}`."
_FROM = re.compile(r"Wished for in #([1-9][0-9]{0,9}) by `([A-Za-z0-9-]{1,39})`, at `[0-9a-f]{40}`\.")


@dataclass(frozen=True, slots=True)
class Wish:
    """One spec of a pull request."""

    pull: PullRequest
    domain: str
    text: bytes

    @property
    def words(self) -> str:
        """How a proposal says where it comes from."""
        return FROM.format(number=self.pull.number, author=self.pull.author, sha=self.pull.sha)


def wished(repository: Repository) -> tuple[PullRequest, ...]:
    """Pull requests that a maintainer wants trained, oldest first."""
    found = (pull for pull in repository.pull_requests() if pull.base == BASE and LABEL in pull.labels)
    return tuple(pull for pull in found if not is_ours(pull, repository))


def read_wish(shop: Workshop, pull: PullRequest) -> Wish:
    """The spec of a pull request, as it is at its head's commit.

    Raises:
        AamsError: it is not exactly one spec.
    """
    root = shop.site.root
    if not fetch_pull(shop.site, pull.number) or git.commit_of(root, pull.sha) != pull.sha:
        raise failure("can't be fetched", f"#{pull.number}", "run the same command again")
    start = git.merge_base(root, shop.main, pull.sha)
    changes = (changes_between(root, start, pull.sha) if start else None) or ()
    findings = check_paths(changes, git.tracked_files(root, pull.sha) or ())
    if findings or kind_of(changes) != "spec":
        got = findings[0].what if findings else kind_of(changes)
        raise failure(f"#{pull.number} is not exactly one spec", got, "take the label away, or split it")
    found = SPEC.fullmatch(changes[0].path)
    text = git.tracked_bytes(root, pull.sha, changes[0].path)
    if found is None or text is None:
        raise failure(f"#{pull.number} is not exactly one spec", changes[0].path)
    return Wish(pull, found[1], text)


def lay_down(shop: Workshop, wish: Wish) -> Path:
    """Put a wish where a cycle reads it; nothing of it is committed but what the cycle records."""
    path = shop.lab.root / ".aams" / f"wish-{wish.pull.number}.yaml"
    write_whole(path, wish.text)
    return path


def grant(repository: Repository, wish: Wish, proposal: PullRequest) -> None:
    """Tell a wish where it went; its label has done its work."""
    repository.ensure_comment(wish.pull.number, MARK, f"It is being tried in #{proposal.number}.")
    repository.drop_label(wish.pull, LABEL)


def refuse(repository: Repository, pull: PullRequest, why: str) -> None:
    """Tell a wish why it is not tried; its author can mend it, and a maintainer label it again."""
    repository.ensure_comment(pull.number, MARK, why)
    repository.drop_label(pull, LABEL)


def origin(root: Path, commit: str, cycle: str) -> tuple[int, str] | None:
    """The pull request that a proposal was wished for in, and whose it is: the branch's first commit says so."""
    found = _FROM.search(git.message_of(root, commit, subject_of(cycle)))
    return (int(found[1]), found[2]) if found else None


def subject_of(cycle: str) -> str:
    """The first line of a proposal's first commit."""
    return f"Propose {cycle}"


def answer(site: Site, commit: str, cycle: str, proposal: int, ended: str) -> None:
    """Close the pull request that a decided proposal was wished for in."""
    found = origin(site.root, commit, cycle)
    if found and found[0] in {pull.number for pull in site.repository.pull_requests()}:
        site.repository.ensure_comment(found[0], MARK, f"It was tried in #{proposal}: {ended}.")
        site.repository.turn(found[0], "closed")
