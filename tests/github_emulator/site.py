"""The state of the emulated site: accounts, tokens, and repositories with what lies in them.

Everything here changes under `Site.lock`. It knows nothing of HTTP; what happens is told to `Site.actions`.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from .git_store import GitStore
from .records import (
    ACTIONS_BOT,
    ACTIONS_BOT_ID,
    App,
    Asset,
    CheckRun,
    Comment,
    Environment,
    Event,
    Identity,
    Issue,
    Json,
    Pull,
    Release,
    Review,
    Ruleset,
    Run,
    Status,
)

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""https://docs.github.com/en/organizations/managing-user-access-to-your-organizations-repositories/managing-repository-roles/repository-roles-for-an-organization"""


class Repository:
    """One repository: its bare Git store and everything that is kept beside it. A fork names its parent."""

    def __init__(self, id_: int, name: str, folder: Path, collaborators: Mapping[str, str], parent: str = "") -> None:
        self.id = id_
        self.full_name = name
        self.owner, self.name = name.split("/")
        self.git = GitStore(folder)
        self.parent = parent
        self.private = False
        self.default_branch = "main"
        self.collaborators = {self.owner: "admin", **collaborators}
        self.labels: dict[str, Json] = {}
        self.issues: dict[int, Issue] = {}
        self.pulls: dict[int, Pull] = {}
        self.reviews: dict[int, Review] = {}
        self.comments: dict[int, Comment] = {}
        self.statuses: list[Status] = []
        self.check_runs: dict[int, CheckRun] = {}
        self.releases: dict[int, Release] = {}
        self.assets: dict[int, Asset] = {}
        self.rulesets: dict[int, Ruleset] = {}
        self.environments: dict[str, Environment] = {}
        self.options: Json = {}
        self.token_options: Json = {}
        self.pages: Json = {}
        self.secrets: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.runs: dict[int, Run] = {}

    def role(self, login: str) -> str:
        """The role of a user; everybody may read a public repository."""
        return self.collaborators.get(login, "none" if self.private else "read")

    def has_role(self, login: str, role: str) -> bool:
        return ROLES.index(self.role(login)) >= ROLES.index(role)

    def can_write(self, identity: Identity) -> bool:
        """Whether somebody may push, and so whether their approval counts."""
        if identity.kind == "user":
            return self.has_role(identity.login, "write")
        return self.grants(identity, ("contents",))

    def grants(self, identity: Identity, permissions: tuple[str, ...]) -> bool:
        """Whether an App or a GITHUB_TOKEN may write here, by one of the permissions; no App is installed on a fork."""
        here = identity.repository == self.full_name if identity.kind == "actions" else not self.parent
        return here and any(identity.permissions.get(name) == "write" for name in permissions)

    def tip(self, branch: str) -> str | None:
        """The commit of a branch."""
        return self.git.commit_at(f"refs/heads/{branch}")


class Listener(Protocol):
    """GitHub Actions, as far as the rest of the site knows them."""

    def notify(self, repository: Repository, event: Event, payload: Json, actor: Identity) -> None:
        """Start what listens to an event."""

    def cancel(self, run: Run) -> None:
        """End a run before it is done."""

    def rerun(self, run: Run) -> None:
        """Run it again, with the same event and commit."""


class Site:
    """All accounts and repositories. `clock` gives the time of every record and of the Date header."""

    def __init__(self, root: Path, clock: Callable[[], datetime] | None = None) -> None:
        self.root = root
        self.url = ""
        self.clock = clock or (lambda: datetime.now(UTC))
        self.lock = threading.RLock()
        self.accounts: dict[str, int] = {ACTIONS_BOT: ACTIONS_BOT_ID}
        self.tokens: dict[str, Identity] = {}
        self.apps: dict[int, App] = {}
        self.repositories: dict[str, Repository] = {}
        self.events: list[Event] = []
        self.actions: Listener | None = None
        self._ids = itertools.count(1001)

    def next_id(self) -> int:
        return next(self._ids)

    def now(self) -> str:
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def add_account(self, login: str) -> None:
        if login not in self.accounts:
            self.accounts[login] = self.next_id()

    def add_token(self, identity: Identity) -> str:
        """A new token for somebody."""
        self.add_account(identity.login)
        token = f"{'ghp' if identity.kind == 'user' else 'ghs'}_{secrets.token_hex(16)}"
        self.tokens[token] = identity
        return token

    def add_repository(self, name: str, collaborators: Mapping[str, str], parent: str = "") -> Repository:
        """A repository on disk; a fork starts as a copy of its parent, any other with one empty commit."""
        folder = self.root / f"{name}.git"
        repository = Repository(self.next_id(), name, folder, collaborators, parent)
        repository.git.create()
        if parent:
            source = self.repositories[parent].git.path
            repository.git.run("fetch", "--quiet", str(source), "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
        else:
            tree = repository.git.write_tree(None, [])
            person = (repository.owner, f"{repository.owner}@users.noreply.github.com", self.now())
            commit = repository.git.write_commit(tree, [], "Initial commit", person)
            repository.git.set_ref("refs/heads/main", commit, None)
        self.repositories[name] = repository
        return repository

    def fire(self, repository: Repository, event: Event, payload: Json, actor: Identity) -> None:
        """Record what happened and tell Actions, where there are any."""
        self.events.append(event)
        if self.actions:
            self.actions.notify(repository, event, payload, actor)
