"""Rulesets: what may happen to a branch or a tag, and what still keeps a pull request from being merged.

https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/available-rules-for-rulesets
https://docs.github.com/en/rest/repos/rules

Enforced: creation, update, deletion, non_fast_forward, pull_request and required_status_checks of active rulesets.
Of bypass actors an App ("Integration") counts, always and where refs are moved; others are kept and shown.
https://docs.github.com/en/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/creating-rulesets-for-a-repository#granting-bypass-permissions-for-your-branch-or-tag-ruleset
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from .code_owners import owners_of, read_owners
from .patterns import matches
from .records import Identity, Json, Pull, Review
from .site import Repository

THROUGH_A_PULL = "Changes must be made through a pull request."
PASSED = ("success", "neutral", "skipped")


def rules_at(repository: Repository, ref: str, kind: str = "", app: int | None = None) -> list[Json]:
    """The active rules of a ref, of one type if wanted, but for those that an App bypasses who moves it."""
    target = "tag" if ref.startswith("refs/tags/") else "branch"
    return [
        rule
        for ruleset in repository.rulesets.values()
        if ruleset.settings.get("enforcement") == "active" and ruleset.settings.get("target", "branch") == target
        if _covers(repository, ruleset.settings, ref) and not _bypasses(ruleset.settings, app)
        for rule in ruleset.settings.get("rules", ())
        if not kind or rule["type"] == kind
    ]


def _bypasses(settings: Json, app: int | None) -> bool:
    actors = settings.get("bypass_actors") or ()
    wanted = ("Integration", app, "always")
    return app is not None and any(
        (one["actor_type"], one["actor_id"], one.get("bypass_mode", "always")) == wanted for one in actors
    )


def _covers(repository: Repository, settings: Json, ref: str) -> bool:
    condition = (settings.get("conditions") or {}).get("ref_name") or {}

    def fits(pattern: str) -> bool:
        if pattern == "~DEFAULT_BRANCH":
            return ref == f"refs/heads/{repository.default_branch}"
        return pattern == "~ALL" or matches(pattern, ref)

    return any(map(fits, condition.get("include", ()))) and not any(map(fits, condition.get("exclude", ())))


def update_refusals(
    repository: Repository, ref: str, old: str | None, new: str | None, *, fast_forward: bool, actor: Identity
) -> list[str]:
    """Why a push or a direct change of a ref is refused; nothing when it is not."""
    found: list[str] = []
    for rule in rules_at(repository, ref, app=actor.app_id if actor.kind == "app" else None):
        match rule["type"]:
            case "creation" if old is None:
                found.append("Cannot create ref due to creations being restricted.")
            case "deletion" if new is None:
                found.append("Cannot delete this branch or tag.")
            case "update" if old and new:
                found.append("Cannot update this protected ref.")
            case "non_fast_forward" if old and new and not fast_forward:
                found.append("Cannot force-push to this branch.")
            case "pull_request" if old and new:
                found.append(THROUGH_A_PULL)
            case "required_status_checks" if old and new:
                found += _unmet_checks(repository, rule, new)
    return found


def merge_blockers(repository: Repository, pull: Pull, author: str, method: str = "") -> list[str]:
    """Why a pull request can't be merged yet, with this method if one is named."""
    ref = f"refs/heads/{pull.base_ref}"
    found: list[str] = []
    for rule in rules_at(repository, ref):
        settings = rule.get("parameters") or {}
        if rule["type"] == "required_status_checks":
            found += _unmet_checks(repository, rule, pull.head)
            base = repository.git.commit_at(ref) or ""
            if settings.get("strict_required_status_checks_policy") and not repository.git.is_ancestor(base, pull.head):
                found.append("Head branch is not up to date with the base branch.")
        elif rule["type"] == "pull_request":
            found += _missing_approvals(repository, pull, author, settings)
            allowed = settings.get("allowed_merge_methods")
            if method and allowed and method not in allowed:
                found.append(f"Merge method {method} is not allowed; allowed: {', '.join(allowed)}.")
        elif rule["type"] == "update":
            found.append("Cannot update this protected ref.")
    return list(dict.fromkeys(found))


def _unmet_checks(repository: Repository, rule: Json, commit: str) -> Iterator[str]:
    for check in (rule.get("parameters") or {}).get("required_status_checks", ()):
        if not check_passed(repository, commit, check["context"], check.get("integration_id")):
            yield f'Required status check "{check["context"]}" is expected.'


def check_passed(repository: Repository, commit: str, context: str, app_id: int | None) -> bool:
    """Whether a required check is there and good, as check run and as status, if both are there.

    With an expected App its newest check run counts; the newest status must be the App's own, since a status set by
    anybody else keeps the merge from being allowed.
    https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/troubleshooting-required-status-checks
    """
    outcomes = []
    runs = [run for run in repository.check_runs.values() if run.commit == commit and run.name == context]
    runs = [run for run in runs if app_id is None or run.app_id == app_id]
    outcomes += [{run.app_id: run.conclusion in PASSED for run in runs}] if runs else []
    statuses = [status for status in repository.statuses if status.commit == commit and status.context == context]
    if statuses:
        newest = statuses[-1]
        outcomes.append({-1: newest.state == "success" and app_id in (None, newest.app_id)})
    return bool(outcomes) and all(good for outcome in outcomes for good in outcome.values())


def diff_digest(repository: Repository, pull: Pull) -> str:
    """What a reviewer sees, as a digest: the changes since the merge base."""
    tip = repository.tip(pull.base_ref) or ""
    base = repository.git.merge_base(tip, pull.head) or tip
    return hashlib.sha256(repository.git.diff(base, pull.head)).hexdigest()


def dismisses_stale(repository: Repository, pull: Pull) -> bool:
    rules = rules_at(repository, f"refs/heads/{pull.base_ref}", "pull_request")
    return any((rule.get("parameters") or {}).get("dismiss_stale_reviews_on_push") for rule in rules)


def standing_reviews(repository: Repository, number: int) -> dict[str, Review]:
    """Each reviewer's newest review that is more than a comment."""
    reviews = [review for review in repository.reviews.values() if review.pull == number]
    return {review.author.login: review for review in reviews if review.state != "COMMENTED"}


def _missing_approvals(repository: Repository, pull: Pull, author: str, settings: Json) -> Iterator[str]:
    counting = {
        login: review
        for login, review in standing_reviews(repository, pull.number).items()
        if repository.can_write(review.author) and login != author
    }
    approvals = [review for review in counting.values() if review.state == "APPROVED"]
    needed = settings.get("required_approving_review_count", 0)
    if any(review.state == "CHANGES_REQUESTED" for review in counting.values()):
        yield "Changes were requested by a reviewer with write access."
    if len(approvals) < needed:
        plural = "s are" if needed > 1 else " is"
        yield f"At least {needed} approving review{plural} required by reviewers with write access."
    if settings.get("require_last_push_approval"):
        fresh = [review for review in approvals if review.commit == pull.head and review.author.login != pull.pusher]
        if not fresh:
            yield "New changes require approval from someone other than the last pusher."
    if settings.get("require_code_owner_review"):
        people = {review.author.login for review in approvals if review.author.kind == "user"}
        if any(owners and not owners & people for owners in _owners_of_changes(repository, pull)):
            yield "Waiting on code owner review."


def _owners_of_changes(repository: Repository, pull: Pull) -> Iterator[frozenset[str]]:
    tip = repository.tip(pull.base_ref) or ""
    ownerships = read_owners(repository.git, tip)
    base = repository.git.merge_base(tip, pull.head) or tip
    for change in repository.git.changes(base, pull.head, patches=False):
        yield owners_of(ownerships, change.path)
        if change.before:
            yield owners_of(ownerships, change.before)
