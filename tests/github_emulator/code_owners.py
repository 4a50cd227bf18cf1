"""CODEOWNERS: who has to approve a change of which file.

https://docs.github.com/en/repositories/managing-your-repositorys-settings-and-features/customizing-your-repository/about-code-owners

Gitignore's patterns without `!`, `[ ]` and an escaped `#`; the last pattern that matches wins, and one without owners
makes an exception. Teams and e-mail addresses are read and stand for nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .git_store import GitStore
from .patterns import translate

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")


@dataclass(frozen=True, slots=True)
class Ownership:
    """One line: what it matches, and whose that is."""

    pattern: re.Pattern[str]
    owners: frozenset[str]


def read_owners(git: GitStore, base: str) -> tuple[Ownership, ...]:
    """The lines of the first CODEOWNERS that there is on the base branch; invalid lines are skipped."""
    place = next((place for place in PLACES if git.kind(f"{base}:{place}") == "blob"), None)
    if place is None:
        return ()
    lines = git.blob(f"{base}:{place}").decode("utf-8", errors="replace").splitlines()
    words = [line.partition("#")[0].split() for line in lines]
    return tuple(
        Ownership(_compiled(pattern), frozenset(name.removeprefix("@") for name in owners))
        for pattern, *owners in filter(None, words)
        if not re.search(r"^!|\[|\\", pattern)
    )


def owners_of(ownerships: tuple[Ownership, ...], path: str) -> frozenset[str]:
    """The owners of one file; none where its last pattern has none."""
    return next((line.owners for line in reversed(ownerships) if line.pattern.fullmatch(path)), frozenset())


def _compiled(pattern: str) -> re.Pattern[str]:
    body = pattern.strip("/")
    anywhere = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    below = "/.+" if pattern.endswith("/") else "(?:/.+)?"
    if body.endswith("/*"):  # docs/* means the files of that folder, not of those below it
        below = ""
    return re.compile(anywhere + translate(body) + below, re.DOTALL)
