"""What AAMS knows of a repository on GitHub. Records only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Conclusion = Literal["success", "failure"]
ProposalLane = Literal["hosted", "cuda", "kaggle"]
"""Where a proposal's bundles are trained: a runner of GitHub's, one of the repository's own, or Kaggle."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request: its head's commit, and the branch that it wants to go to.

    Attributes:
        branch, source: of its head, and the repository `owner/name` that this lies in; "" when it is gone.
        merge: the commit that it was merged by; "" while it was not.
    """

    number: int
    sha: str
    base: str
    branch: str
    source: str
    is_open: bool
    draft: bool
    labels: frozenset[str]
    author: str
    merge: str


@dataclass(frozen=True, slots=True)
class Check:
    """What a check run says of a commit; `title` is one line, `summary` Markdown."""

    conclusion: Conclusion
    title: str
    summary: str


@dataclass(frozen=True, slots=True)
class Review:
    """What somebody said of a pull request at a commit. `state` as GitHub has it, `APPROVED` among others."""

    id: int
    login: str
    is_person: bool
    state: str
    sha: str


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a release."""

    id: int
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One run of a workflow, with all its attempts.

    Attributes:
        word: GitHub's for how it stands, or for how it ended.
        url: of its page.
    """

    id: int
    word: str
    ended: bool
    url: str
