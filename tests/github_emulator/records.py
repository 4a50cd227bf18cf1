"""What the emulator remembers, as frozen records: who acts, and what people and programs left behind.

A change of state replaces a record. Records hold logins, numbers and digests, never other records that can change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["anonymous", "user", "app", "actions", "key"]

ACTIONS_BOT = "github-actions[bot]"
ACTIONS_APP_ID = 15368
ACTIONS_BOT_ID = 41898282


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token stands for.

    A user has the role that a repository gives the login. An App's installation and a job's GITHUB_TOKEN (`actions`)
    have `permissions`, by name, "read" or "write"; a GITHUB_TOKEN has them in `repository` only. An App that shows its
    `key` can ask for installation tokens and do nothing else.
    """

    login: str
    kind: Kind
    app_id: int | None = None
    permissions: Mapping[str, str] = field(default_factory=dict)
    repository: str = ""


ANONYMOUS = Identity("", "anonymous")


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App and its one installation; `key` is the PEM of its public key, once it has a private one."""

    id: int
    slug: str
    permissions: Mapping[str, str]
    installation: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue, or what a pull request shares with one: number, words, labels, state."""

    number: int
    id: int
    title: str
    body: str
    author: str
    created_at: str
    updated_at: str
    labels: tuple[str, ...] = ()
    state: str = "open"
    closed_at: str | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """What a pull request has beyond its issue. `pusher` moved the head last; `head` is the head's commit."""

    number: int
    base_ref: str
    head_repository: str
    head_ref: str
    head: str
    base: str
    pusher: str
    draft: bool
    reviewers: tuple[str, ...] = ()
    merged_by: str = ""
    merged_at: str | None = None
    merge_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """A review; `diff` is the digest of the changes that its author saw."""

    id: int
    pull: int
    author: Identity
    state: str
    body: str
    commit: str
    diff: str
    submitted_at: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    number: int
    author: str
    body: str
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Status:
    """A commit status; `app_id` is None when a user posted it."""

    id: int
    commit: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    author: str
    app_id: int | None
    created_at: str


@dataclass(frozen=True, slots=True)
class CheckRun:
    """A check run; only Apps post them, a job's GITHUB_TOKEN among them."""

    id: int
    commit: str
    name: str
    app: str
    app_id: int
    status: str
    conclusion: str | None
    output: Json
    details_url: str | None
    external_id: str
    started_at: str
    completed_at: str | None


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a release."""

    id: int
    release: int
    name: str
    label: str
    content_type: str
    content: bytes
    uploader: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Release:
    """A release and its flags."""

    id: int
    tag: str
    target: str
    name: str
    body: str
    draft: bool
    prerelease: bool
    author: str
    created_at: str


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A ruleset as it was sent: `settings` holds target, enforcement, conditions, rules and bypass_actors."""

    id: int
    name: str
    settings: Json
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True)
class Environment:
    """A deployment environment: which branches may use it, and the secrets that they get."""

    id: int
    name: str
    settings: Json
    branches: Mapping[int, str]
    secrets: Mapping[str, str]
    created_at: str


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a repository, whether or not a workflow listens."""

    name: str
    action: str
    repository: str
    ref: str
    actor: str


@dataclass(frozen=True, slots=True)
class Run:
    """A workflow run. `commit` is the one that it works on, `head` the one that it is shown at (a pull's head)."""

    id: int
    number: int
    attempt: int
    repository: str
    workflow: str
    name: str
    event: str
    payload: Json
    ref: str
    branch: str
    commit: str
    head: str
    actor: str
    trusted: bool
    created_at: str
    title: str
    status: str = "queued"
    conclusion: str | None = None
    log: str = ""
