"""The patterns of GitHub's settings, as regular expressions: `*` stays within a folder, `**` does not.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/creating-rulesets-for-a-repository#using-fnmatch-syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterable

PIECE = re.compile(r"(\*\*/|\*\*|\*|\?)")
MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def translate(pattern: str) -> str:
    """The regular expression of a pattern, unanchored."""
    return "".join(MEANING.get(piece) or re.escape(piece) for piece in PIECE.split(pattern))


def matches(pattern: str, name: str) -> bool:
    """Whether the whole name fits."""
    return re.fullmatch(translate(pattern), name, re.DOTALL) is not None


def last_match(patterns: Iterable[str], name: str) -> bool:
    """Whether a list of patterns takes a name in; a later one overrules earlier ones, `!` takes names out again."""
    taken = False
    for pattern in patterns:
        if matches(pattern.removeprefix("!"), name):
            taken = not pattern.startswith("!")
    return taken
