"""The lab that a workflow works in: main as it is on GitHub, with every open proposal laid over it, in a folder aside.

Takes a checkout of main and GitHub, gives an open lab and its proposals; publishes what the lab recorded for a cycle as
one commit on the cycle's branch, if that is still where it was. Nothing of the caller's checkout is touched.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aams import git
from aams.cycle import Lab, open_lab
from aams.errors import AamsError, failure
from aams.files import write_whole
from aams.github.repository import AUTHOR_ADDRESS, AUTHOR_NAME, BASE, Repository
from aams.gitops.proposals import Proposal, branch_of, lay_over, proposed
from safety.archive import WEIGHTS, generation_path
from safety.clock import seconds_between, utc_now
from safety.head import champion_path, head_path, proposed_head
from safety.keyfiles import KEYS
from safety.ledger import CYCLES
from safety.lifecycle import is_accepted
from safety.signers import ROLES

KEY_VARIABLES = {role: f"AAMS_{role.upper()}_KEY" for role in ROLES}
"""Environment variables with the private keys that a workflow may hold; it should never hold both."""
MAX_SKEW_S = 300
AUTHOR = f"{AUTHOR_NAME} <{AUTHOR_ADDRESS}>"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the repository is: the caller's checkout of main, its API, its address for Git and the token of both."""

    root: Path
    repository: Repository
    url: str
    token: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """One sweep's lab. `main` is the commit of main that it stands on."""

    site: Site
    lab: Lab
    main: str
    proposals: tuple[Proposal, ...]

    def proposal(self, cycle: str) -> Proposal | None:
        """A cycle's open proposal."""
        return next((one for one in self.proposals if one.cycle == cycle), None)

    def own(self) -> tuple[Proposal, ...]:
        """Open proposals that are the bot's own."""
        return tuple(one for one in self.proposals if not one.foreign and one.pull.is_open)

    def publish(self, cycle: str, domain: str, message: str) -> str:
        """Put all that the lab has recorded for a cycle on its branch, as one commit; its name.

        Raises:
            AamsError: the branch has moved since; the next sweep looks again.
        """
        known, branch, files = self.proposal(cycle), branch_of(domain, cycle), self.files(cycle, domain)
        if known:
            return push_files(self, branch, known.pull.sha, known.pull.sha, files, message)
        left = self.site.repository.tip(branch)  # by a sweep that was killed before it opened the pull request
        return push_files(self, branch, self.main, left, files, message)

    def files(self, cycle: str, domain: str) -> dict[str, bytes | None]:
        """What a cycle's branch holds: entries, archive, and HEAD and champion as they were, unless it is accepted.

        As they are today would be a change of the branch's own where HEAD has moved since, and ask for an owner.
        """
        lab, root = self.lab, self.lab.root
        paths = sorted((root / CYCLES / cycle).glob("*.json"))
        generation = next(
            (one for lineage in lab.state.lineages.values() for one in lineage.generations if one.cycle == cycle), None
        )
        found = lab.state.open_cycles.get(cycle)
        if generation and generation.archive:
            folder = generation_path(root, domain, generation.directory)
            paths += sorted(path for path in folder.iterdir() if path.name != WEIGHTS)
        files: dict[str, bytes | None] = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
        head, champion = (place(Path(), domain).as_posix() for place in (head_path, champion_path))
        if found and is_accepted(found):
            named, line = proposed_head(lab.state, found)
            spec = generation_path(root, domain, named.directory) / "spec.yaml"
            return {**files, head: line, champion: spec.read_bytes()}
        known, root = self.proposal(cycle), self.site.root
        start = (git.merge_base(root, self.main, known.pull.sha) if known else None) or self.main
        return files | {path: git.tracked_bytes(root, start, path) for path in (head, champion)}


@contextmanager
def workshop(site: Site) -> Iterator[Workshop]:
    """Fetch main and every open proposal, and open the lab that they make.

    Raises:
        AamsError: GitHub or Git fails, this machine's clock is not GitHub's, or main's own ledger is broken.
    """
    skew_s = abs(seconds_between(site.repository.time(), utc_now()))
    if skew_s > MAX_SKEW_S:
        raise failure("this machine's clock is not GitHub's", f"{skew_s:,} s off", "set it right", file="clock")
    main = site.repository.tip(BASE)
    pulls = proposed(site.repository)
    git.fetch(site.root, site.url, [f"refs/heads/{BASE}"], site.token)
    for pull in pulls:
        with contextlib.suppress(AamsError):  # what can't be fetched is nobody's to go on with
            git.fetch(site.root, site.url, [f"refs/heads/{pull.branch}"], site.token)
    if git.commit_of(site.root, main) != main:
        raise failure("main moved while it was fetched", main[:12], "run the same command again", file="github")
    with (
        tempfile.TemporaryDirectory(prefix="aams-", ignore_cleanup_errors=True) as place,
        git.worktree(site.root, main, Path(place) / "lab") as folder,
    ):
        _place_keys(folder)
        proposals = lay_over(site.root, folder, main, pulls)
        with open_lab(folder, proposed=frozenset(one.cycle for one in proposals)) as lab:
            yield Workshop(site, lab, main, proposals)


def fetch_pull(site: Site, number: int) -> bool:
    """Bring a pull request's commits here; whether Git let them in: what is malformed harms nobody but itself."""
    try:
        git.fetch(site.root, site.url, [f"refs/pull/{number}/head"], site.token)
    except AamsError:
        return False
    return True


def push_files(
    shop: Workshop, branch: str, parent: str, before: str, files: Mapping[str, bytes | None], message: str
) -> str:
    """Commit files on top of a commit and move a branch to it; the commit, or its parent when nothing differs.

    Args:
        before: where the branch is; "" when there is none.
    """
    site = shop.site
    changed = {
        path: content for path, content in files.items() if git.tracked_bytes(site.root, parent, path) != content
    }
    if not changed:
        return parent
    commit = git.commit_files(site.root, parent, changed, message, AUTHOR, shop.lab.state.time)
    git.push(site.root, site.url, commit, branch, before, site.token)
    return commit


def _place_keys(folder: Path) -> None:
    """Write the keys of the environment where a lab looks for its own."""
    for role, variable in KEY_VARIABLES.items():
        key = os.environ.get(variable, "")
        if key:
            path = folder / KEYS / role
            write_whole(path, f"{key.strip()}\n".encode())
            path.chmod(0o600)
