"""Open proposals: pull requests of the bot's own branches, read as data and laid over main.

Takes a checkout of main with its history and pull requests, gives what each may add to a lab: entries of its cycle, its
generation's archive, and nothing else. A branch that holds anything else, or a commit of somebody else's, is a person's
from then on: the bot keeps its hands off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from aams import git
from aams.errors import AamsError
from aams.files import write_whole
from aams.github.records import PullRequest
from aams.github.repository import AUTHOR_ADDRESS, BASE, Repository
from evaluator.recount import recount
from safety.archive import HISTORY, MAX_ARTIFACT_BYTES
from safety.contract import CONTRACT_PATH, load_contract
from safety.head import SPECS
from safety.ledger import CYCLES, read_ledger
from safety.paths import PLAIN, changes_between

BRANCH = re.compile(r"aams/(language|vision|hybrid)/([a-z0-9][a-z0-9-]{0,62})")
MAX_FILES = 512


@dataclass(frozen=True, slots=True)
class Proposal:
    """One cycle's pull request. `foreign` says why the bot keeps its hands off; "" when it is the bot's own."""

    pull: PullRequest
    domain: str
    cycle: str
    foreign: str


def branch_of(domain: str, cycle: str) -> str:
    """The branch of a cycle's proposal."""
    return f"aams/{domain}/{cycle}"


def is_ours(pull: PullRequest, repository: Repository) -> bool:
    """Whether a pull request comes from a branch that only the bot may push."""
    return pull.source == repository.name and pull.branch.startswith("aams/")


def proposed(repository: Repository) -> tuple[PullRequest, ...]:
    """Every proposal that is not on record: open ones, and those that somebody closed while their branch stands."""
    ours = [pull for pull in repository.pull_requests() if is_ours(pull, repository)]
    known = {pull.branch: pull for pull in sorted(ours, key=lambda pull: (pull.base == BASE, -pull.number))}
    for branch, tip in repository.branches("aams/").items():
        if branch not in known:
            closed = [pull for pull in repository.pull_requests("closed", branch) if is_ours(pull, repository)]
            closed = [pull for pull in closed if pull.base == BASE]
            if closed and not closed[0].merge:
                known[branch] = replace(closed[0], sha=tip)  # GitHub stops following a branch when it is closed
    return tuple(known.values())


def lay_over(root: Path, folder: Path, main: str, pulls: Iterable[PullRequest]) -> tuple[Proposal, ...]:
    """Read every proposal and add what it may add to a lab's folder.

    Args:
        root: where their commits were fetched.
        folder: a lab at main.
        main: the commit of main.
    """
    found = []
    for pull in pulls:
        match = BRANCH.fullmatch(pull.branch)
        if match is None:
            continue
        domain, cycle = match.groups()
        files, foreign = _own_files(root, main, pull, domain, cycle)
        if not foreign:
            foreign = _add(folder, cycle, files)
        found.append(Proposal(pull, domain, cycle, foreign))
    return tuple(found)


def _own_files(root: Path, main: str, pull: PullRequest, domain: str, cycle: str) -> tuple[dict[str, bytes], str]:
    """What a proposal adds, by path; or why it is none of the bot's."""
    if git.commit_of(root, pull.sha) != pull.sha:
        return {}, "its commits could not be fetched"
    start = git.merge_base(root, main, pull.sha)
    changes = changes_between(root, start, pull.sha) if start else None
    if start is None or not changes or len(changes) > MAX_FILES:
        return {}, "it has no history in common with main, or changes nothing, or too much"
    if git.written_by(root, start, pull.sha) != {AUTHOR_ADDRESS}:
        return {}, "it holds a commit that the bot did not write"
    added = re.compile(rf"{CYCLES}/{cycle}/[0-9]{{2,4}}-[a-z]+\.json|{HISTORY}/{domain}/G[0-9-]+/[A-Za-z0-9._-]+")
    files = {}
    for change in changes:
        if change.mode == PLAIN and change.path in (f"{SPECS}/{domain}/HEAD", f"{SPECS}/{domain}/champion.yaml"):
            continue
        content = git.tracked_bytes(root, pull.sha, change.path)
        if not added.fullmatch(change.path) or (change.mode, change.before) != (PLAIN, "") or content is None:
            return {}, f"it changes more than a proposal may: {ascii(change.path)[1:-1][:80]}"
        if len(content) > MAX_ARTIFACT_BYTES:
            return {}, f"it adds a file that is too large: {change.path[:80]}"
        files[change.path] = content
    return files, ""


def _add(folder: Path, cycle: str, files: dict[str, bytes]) -> str:
    """Write a cycle's files into a lab, unless its ledger, or what the cycle decided, would not hold then; why not."""
    written, contract = [], load_contract(folder / CONTRACT_PATH)
    try:
        for path, content in files.items():
            if (folder / path).exists():
                return f"it holds what main holds already: {path[:80]}"
            write_whole(folder / path, content, read_only=True)
            written.append(folder / path)
        recount(read_ledger(folder), {contract.digest: contract}, cycle)
    except AamsError as error:
        for place in written:
            place.unlink()
        return f"the ledger does not hold with it: {error.problems[0]}"
    return ""
