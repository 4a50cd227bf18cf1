"""What AAMS knows of a repository on GitHub. Records only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Conclusion = Literal["success", "failure"]


@dataclass(frozen=True, slots=True)
class PullRequest:
    """An open pull request: its head's commit, and the branch that it wants to go to."""

    number: int
    sha: str
    base: str


@dataclass(frozen=True, slots=True)
class Check:
    """What a check run says of a commit; `title` is one line, `summary` Markdown."""

    conclusion: Conclusion
    title: str
    summary: str
