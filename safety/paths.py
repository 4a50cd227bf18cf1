"""The path policy: what one change to the repository may touch, and what kind of change that makes it.

Takes the changed entries of two trees and the names beside them, gives a kind and findings. It is computed from main's
own code, over names, modes and nothing that the change brings: a change can't talk itself out of it.

- a spec: exactly one spec of a domain, its champion.yaml or a candidate, and nothing beside it. A person's wish to have
  it trained; champion.yaml itself moves by promotion only.
- a record: entries, archives, HEADs, and what is compiled from them. Written by AAMS alone.
- code: all the rest, the contract, workflows and templates among it. Changed by people, under review.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aams import git
from aams.records import Finding

ID = "paths"
PLAIN, EXECUTABLE = "100644", "100755"
MAX_PATH = 200
SPEC = re.compile(r"specs/(language|vision|hybrid)/(champion|candidates/[a-z0-9][a-z0-9-]{0,62})\.yaml")
RECORDS = ("logs/", "specs/history/", "docs/data/", "docs/metrics.json", "docs/feed.xml")
HEAD = re.compile(r"specs/[^/]+/HEAD")
DOCUMENTS = ("logs/README.md", "specs/README.md", "specs/history/README.md")
_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@-]*")

Kind = Literal["spec", "record", "code", "mixed", "nothing"]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry that differs between two trees.

    Attributes:
        mode: of the new tree, as in `100644`; "" when it is gone.
        before: of the old tree; "" when it is new.
    """

    path: str
    mode: str
    before: str


def changes_between(root: Path, before: str, after: str) -> tuple[Change, ...] | None:
    """Every entry that differs between two commits; None when Git can't compare them."""
    found = git.changed_entries(root, before, after)
    return None if found is None else tuple(Change(path, new, old) for path, old, new in found)


def kind_of(changes: Sequence[Change]) -> Kind:
    """What kind of change these make together."""
    kinds = {_kind(change.path) for change in changes}
    if len(kinds) > 1 or (kinds == {"spec"} and len(changes) > 1):
        return "mixed"
    return kinds.pop() if kinds else "nothing"


def _kind(path: str) -> Literal["spec", "record", "code"]:
    if path in DOCUMENTS:
        return "code"
    if HEAD.fullmatch(path) or path.startswith(RECORDS):
        return "record"
    return "spec" if path.startswith("specs/") else "code"


def check_paths(changes: Sequence[Change], names: Collection[str]) -> tuple[Finding, ...]:
    """Hold a person's change against the policy.

    Args:
        changes: every entry that differs from the base.
        names: every path of the new tree.
    """
    return tuple(_findings(changes, names))


def _findings(changes: Sequence[Change], names: Collection[str]) -> Iterator[Finding]:
    for change in changes:
        yield from _of_one(change)
    taken: dict[str, str] = {}
    new = {change.path for change in changes if change.mode}
    for name in sorted(names):
        other = taken.setdefault(name.casefold(), name)
        if other != name and new & {other, name}:
            yield _finding(name, "differs from another name by case only", other, "rename it")
    kind = kind_of(changes)
    if kind == "nothing":
        yield _finding("", "changes nothing", "no entry differs", "push a commit that does, or close it")
    if kind == "mixed":
        kinds = sorted({_kind(change.path) for change in changes})
        got = f"{' and '.join(kinds)} in {len(changes)} files"
        yield _finding(changes[0].path, "a spec comes alone, one at a time, and so does code", got, "split the change")


def _of_one(change: Change) -> Iterator[Finding]:
    path = change.path
    if (
        len(path) > MAX_PATH
        or not all(map(_NAME.fullmatch, path.split("/")))
        or {".", "..", ".git"} & set(path.casefold().split("/"))
    ):
        yield _finding(_ascii(path), "is not a plain name", "", f"use letters, digits and . _ - in {MAX_PATH} at most")
    if change.mode not in ("", PLAIN, EXECUTABLE):
        yield _finding(_ascii(path), "is not a regular file", f"mode {change.mode}", "no links, no submodules")
    kind = _kind(path)
    if kind == "record":
        yield _finding(_ascii(path), "is a record, and only AAMS writes records", "", "take it out of the change")
    if kind == "spec" and not SPEC.fullmatch(path):
        advice = "name it specs/DOMAIN/candidates/NAME.yaml"
        yield _finding(_ascii(path), "is no place for a spec", "", advice)
    if kind == "spec" and change.mode != PLAIN:
        yield _finding(_ascii(path), "must stay a spec", "it is gone" if not change.mode else "", "bring it back")


def _finding(subject: str, what: str, got: str, advice: str) -> Finding:
    return Finding(ID, subject, what, got, advice)


def _ascii(path: str) -> str:
    """A name that may hold anything, made fit to be shown."""
    return ascii(path)[1:-1][:MAX_PATH]
