"""Moving a branch or a tag: the rules before it, and what follows from it.

A moved head updates its pull requests and refs/pull/N/head; approvals of another diff are dismissed where a rule says
so; a deleted head closes its pull request; `push` and `pull_request` happen.
https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/reviewing-changes-in-pull-requests/checking-out-pull-requests-locally
"""

from __future__ import annotations

from dataclasses import replace

from . import as_json
from .git_store import ZERO
from .records import Event, Identity, Json, Pull
from .routing import RefusalError
from .rules import diff_digest, dismisses_stale, update_refusals
from .site import Repository, Site


def check_update(
    repository: Repository, ref: str, old: str | None, new: str | None, actor: Identity, status: int = 422
) -> None:
    """Raises: RefusalError, when a rule keeps the ref where it is."""
    forward = bool(old and new and repository.git.is_ancestor(old, new))
    found = update_refusals(repository, ref, old, new, fast_forward=forward, actor=actor)
    if found:
        raise RefusalError(status, "\n\n".join(["Repository rule violations found", *found]))


def move_ref(site: Site, repository: Repository, ref: str, old: str | None, new: str | None, actor: Identity) -> None:
    """Move, create or delete a ref that the rules let go, and draw the consequences."""
    repository.git.set_ref(ref, new, old)
    after_move(site, repository, ref, old, new, actor)


def after_move(site: Site, repository: Repository, ref: str, old: str | None, new: str | None, actor: Identity) -> None:
    """What follows when a ref has moved, by a push or by the API."""
    if ref.startswith("refs/heads/"):
        _follow_heads(site, repository, ref.removeprefix("refs/heads/"), new, actor)
        _dismiss_stale(site, repository, ref.removeprefix("refs/heads/"))
    if ref.startswith(("refs/heads/", "refs/tags/")):
        payload = {"ref": ref, "before": old or ZERO, "after": new or ZERO, "deleted": new is None}
        fire(site, repository, "push", "", payload, actor, ref)


def fire(
    site: Site, repository: Repository, name: str, action: str, payload: Json, actor: Identity, ref: str = ""
) -> None:
    """Let an event happen, by default on the default branch."""
    ref = ref or f"refs/heads/{repository.default_branch}"
    event = Event(name, action, repository.full_name, ref, actor.login)
    body = {
        **({"action": action} if action else {}),
        **payload,
        "repository": as_json.repository(site, repository),
        "sender": as_json.user(site, actor.login),
    }
    site.fire(repository, event, body, actor)


def fire_pull(
    site: Site,
    repository: Repository,
    pull: Pull,
    action: str,
    actor: Identity,
    name: str = "pull_request",
    **more: Json,
) -> None:
    """Let an event of a pull request happen."""
    payload = {"number": pull.number, "pull_request": as_json.pull(site, repository, pull), **more}
    fire(site, repository, name, action, payload, actor, f"refs/pull/{pull.number}/merge")


def fetch_head(site: Site, repository: Repository, pull: Pull) -> None:
    """Bring a pull request's head into its own repository, from a fork if need be."""
    ref = f"refs/pull/{pull.number}/head"
    if pull.head_repository != repository.full_name:
        source = site.repositories[pull.head_repository].git.path
        repository.git.run("fetch", "--quiet", "--no-tags", str(source), f"+refs/heads/{pull.head_ref}:{ref}")
    else:
        repository.git.run("update-ref", ref, pull.head)


def _follow_heads(site: Site, repository: Repository, branch: str, new: str | None, actor: Identity) -> None:
    for target in list(site.repositories.values()):
        for pull in list(target.pulls.values()):
            issue = target.issues[pull.number]
            if issue.state != "open" or (pull.head_repository, pull.head_ref) != (repository.full_name, branch):
                continue
            if new is None:
                target.issues[pull.number] = replace(issue, state="closed", closed_at=site.now())
                fire_pull(site, target, pull, "closed", actor)
                continue
            moved = replace(pull, head=new, base=target.tip(pull.base_ref) or pull.base, pusher=actor.login)
            target.pulls[pull.number] = moved
            target.issues[pull.number] = replace(issue, updated_at=site.now())
            fetch_head(site, target, moved)
            _dismiss_stale(site, target, pull.base_ref)
            fire_pull(site, target, moved, "synchronize", actor)


def _dismiss_stale(site: Site, repository: Repository, base: str) -> None:
    """Dismiss approvals of a diff that is not the pull request's any more, whichever of its two ends has moved."""
    for pull in repository.pulls.values():
        if pull.base_ref != base or repository.issues[pull.number].state != "open":
            continue
        approvals = [
            review
            for review in repository.reviews.values()
            if review.pull == pull.number and review.state == "APPROVED"
        ]
        if not approvals or not dismisses_stale(repository, pull):
            continue
        now = diff_digest(repository, pull)
        for review in approvals:
            if review.diff != now:
                repository.reviews[review.id] = replace(review, state="DISMISSED")
