"""GitHub on 127.0.0.1, for tests: REST as PyGithub speaks it, git over HTTP, rulesets, and Actions through `act`.

It takes people, Apps and repositories and gives tokens and addresses. Repositories are real bare Git repositories;
merges are real merges; workflows really run. Each rule is documented where it is enforced, with GitHub's page about it.
It never resolves a name, never leaves 127.0.0.1, and keeps nothing after `close`.

Not emulated: teams and organisations, classic branch protection, rebase merges, review comments on lines, auto-merge,
merge queues, approval of first-time contributors' runs, concurrency groups, reusable workflows, conditional requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from .act import find_act
from .actions import Actions
from .apps import make_key
from .faults import Fault
from .records import App, Environment, Event, Identity, Json, Run
from .refs import fire
from .server import Exchange, Server
from .site import Repository, Site

__all__ = ["GitHubEmulator", "find_act"]

APP_PERMISSIONS = ("actions", "checks", "contents", "issues", "pull-requests", "statuses")


class GitHubEmulator:
    """A running site. `actions=False` records events and runs no workflow.

    Args:
        folder: where repositories and runs live.
        step_environment: what the steps of workflows find in their environment, beside what GitHub gives them.
        runners: how many runs go on at once. One makes their order the order of events.
        clock: the site's time, of records and the Date header.
    """

    def __init__(
        self,
        folder: Path,
        *,
        actions: bool = True,
        step_environment: Mapping[str, str] | None = None,
        runners: int = 1,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.site = Site(folder / "repositories", clock)
        self._server = Server(self.site)
        self._actions = Actions(self.site, folder / "runs", step_environment or {}, runners) if actions else None
        self.site.actions = self._actions
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, let hanging requests go, kill what still runs."""
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        if self._actions:
            self._actions.close()

    @property
    def url(self) -> str:
        """The address of the REST API; GraphQL and git over HTTP lie below it."""
        return self.site.url

    @property
    def requests(self) -> list[Exchange]:
        """All requests so far, oldest first."""
        return self._server.requests

    @property
    def events(self) -> list[Event]:
        """What has happened so far, oldest first, whether or not a workflow listens."""
        return self.site.events

    def git_url(self, repository: str, token: str = "") -> str:
        """A repository's address for git, with a token in it if one is given."""
        return self.url.replace("://", f"://x-access-token:{token}@" if token else "://") + f"/{repository}.git"

    def user(self, login: str) -> str:
        """A person's token."""
        with self.site.lock:
            return self.site.add_token(Identity(login, "user"))

    def app(self, slug: str, app_id: int, permissions: Mapping[str, str] | None = None) -> str:
        """An App's installation token, for all repositories but forks; permissions are "read" or "write" by name."""
        given = dict.fromkeys(APP_PERMISSIONS, "write") if permissions is None else permissions
        with self.site.lock:
            self.site.apps[app_id] = App(app_id, slug, given, self.site.next_id())
            return self.site.add_token(Identity(f"{slug}[bot]", "app", app_id, given))

    def app_key(self, app_id: int) -> str:
        """A private key for an App that is there already, with which it can ask for installation tokens itself."""
        with self.site.lock:
            return make_key(self.site, app_id)

    def repository(
        self, name: str, collaborators: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None
    ) -> Repository:
        """A repository `owner/name` whose main has the files; nothing happens by their arrival."""
        with self.site.lock:
            made = self.site.add_repository(name, collaborators or {})
            if files:
                entries = [(path, "100644", made.git.write_blob(text.encode())) for path, text in files.items()]
                tip = made.tip("main") or ""
                person = (made.owner, f"{made.owner}@users.noreply.github.com", self.site.now())
                commit = made.git.write_commit(made.git.write_tree(tip, entries), [tip], "First files", person)
                made.git.set_ref("refs/heads/main", commit, tip)
            return made

    def secret(self, repository: str, name: str, value: str, environment: str = "") -> None:
        """A secret of a repository, or of one of its environments, which is made open to all branches if need be."""
        with self.site.lock:
            found = self.site.repositories[repository]
            if not environment:
                found.secrets[name] = value
                return
            blank = Environment(
                self.site.next_id(), environment, {"deployment_branch_policy": None}, {}, {}, self.site.now()
            )
            there = found.environments.get(environment, blank)
            found.environments[environment] = replace(there, secrets={**there.secrets, name: value})

    def variable(self, repository: str, name: str, value: str) -> None:
        """A configuration variable, which workflows read as `vars.NAME`.

        https://docs.github.com/en/actions/how-tos/write-workflows/choose-what-workflows-do/use-variables
        """
        with self.site.lock:
            self.site.repositories[repository].variables[name] = value

    def fire_schedule(self, repository: str, workflow: str) -> None:
        """Let the hour of a scheduled workflow come: `workflow` is its file's name.

        https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule
        """
        with self.site.lock:
            found = self.site.repositories[repository]
            payload: Json = {"workflow": f".github/workflows/{workflow}", "schedule": "*/5 * * * *"}
            fire(self.site, found, "schedule", "", payload, Identity(found.owner, "user"))

    def runs(self, repository: str) -> tuple[Run, ...]:
        """All workflow runs, oldest first, with their logs."""
        with self.site.lock:
            return tuple(self.site.repositories[repository].runs.values())

    def wait_for_runs(self, timeout_s: float = 600) -> None:
        """Wait until every workflow run has ended, those that runs started too. Raises: TimeoutError."""
        if self._actions:
            self._actions.wait(timeout_s)

    def fail_next(
        self,
        method: str,
        path: str,
        status: int | Literal["timeout"],
        *,
        times: int = 1,
        after: int = 0,
        carried_out: bool = False,
        retry_after_s: int | None = None,
    ) -> None:
        """Let the next requests fail whose path the regular expression is found in, `after` so many that don't.

        A `method` "*" means any, "write" any but GET and HEAD. "timeout" never answers. `carried_out` requests take
        effect all the same: only their answer is lost.
        """
        self._server.faults.add(method, path, Fault(status, carried_out, retry_after_s), times, after)

    def heal(self) -> None:
        """Let no request fail any more that was asked to."""
        self._server.faults.clear()
