"""Pull requests: open, change, make ready, merge. https://docs.github.com/en/rest/pulls/pulls"""

from __future__ import annotations

import re
from dataclasses import replace

from . import as_json
from .records import Issue, Json, Pull
from .refs import fetch_head, fire_pull, move_ref
from .routing import Answer, RefusalError, Request, Route, invalid
from .rules import merge_blockers
from .site import Repository

WRITES = ("pull-requests",)


def pull_of(request: Request) -> Pull:
    """The pull request that a path names."""
    if request.number not in request.repository.pulls:
        raise RefusalError(404, "Not Found")
    return request.repository.pulls[request.number]


def shown(request: Request, number: int, status: int = 200) -> Answer:
    repository = request.repository
    return Answer(as_json.pull(request.site, repository, repository.pulls[number]), status)


def list_pulls(request: Request) -> Answer:
    """Newest first; by state, `head` (owner:branch) and `base`. https://docs.github.com/en/rest/pulls/pulls#list-pull-requests"""
    repository, query = request.repository, request.query
    state, head, base = query.get("state", "open"), query.get("head", ""), query.get("base")
    found = []
    for number, pull in sorted(repository.pulls.items(), reverse=query.get("direction", "desc") == "desc"):
        label = f"{pull.head_repository.partition('/')[0]}:{pull.head_ref}"
        if state not in ("all", repository.issues[number].state) or (":" in head and head != label):
            continue
        if base in (None, pull.base_ref):
            found.append(as_json.pull(request.site, repository, pull))
    return Answer(found)


def create_pull(request: Request) -> Answer:
    """Only one open pull request for a head and a base; there must be commits between them.

    https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request
    Who opens one needs write access to the head: https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/proposing-changes-to-your-work-with-pull-requests/creating-a-pull-request
    """
    site, repository, identity = request.site, request.repository, request.identity
    owner, _, branch = request.field("head").rpartition(":")
    base = request.field("base")
    source = _source(request, owner or repository.owner)
    head, tip = source.tip(branch) if source else None, repository.tip(base)
    if source is None or head is None:
        raise invalid("PullRequest", "head")
    if tip is None:
        raise invalid("PullRequest", "base")
    if not source.can_write(identity) and (identity.kind == "user" or source is not repository):
        raise RefusalError(403, "Must have write access to the head of a pull request")
    for pull in repository.pulls.values():
        same = (pull.head_repository, pull.head_ref, pull.base_ref) == (source.full_name, branch, base)
        if same and repository.issues[pull.number].state == "open":
            label = f"{source.owner}:{branch}"
            errors = [
                {"resource": "PullRequest", "code": "custom", "message": f"A pull request already exists for {label}."}
            ]
            raise RefusalError(422, "Validation Failed", errors)
    number = len(repository.issues) + 1
    pull = Pull(number, base, source.full_name, branch, head, tip, identity.login, bool(request.body.get("draft")))
    fetch_head(site, repository, pull)
    if repository.git.is_ancestor(head, tip):
        message = f"No commits between {base} and {branch}"
        raise RefusalError(
            422, "Validation Failed", [{"resource": "PullRequest", "code": "custom", "message": message}]
        )
    now = site.now()
    body = request.body.get("body") or ""
    repository.issues[number] = Issue(number, site.next_id(), request.field("title"), body, identity.login, now, now)
    repository.pulls[number] = pull
    fire_pull(site, repository, pull, "opened", identity)
    return shown(request, number, 201)


def _source(request: Request, owner: str) -> Repository | None:
    """The repository of the head: this one, or a fork of it."""
    here = request.repository
    if owner == here.owner:
        return here
    forks = request.site.repositories.values()
    return next((fork for fork in forks if fork.parent == here.full_name and fork.owner == owner), None)


def get_pull(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request"""
    return shown(request, pull_of(request).number)


def update_pull(request: Request) -> Answer:
    """Title, body, base, state. https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request"""
    site, repository, pull = request.site, request.repository, pull_of(request)
    issue, body = repository.issues[pull.number], request.body
    if body.get("state", issue.state) != issue.state:
        if pull.merged_at:
            raise invalid("PullRequest", "state")
        closed = body["state"] == "closed"
        issue = replace(issue, state=body["state"], closed_at=site.now() if closed else None)
        tip = site.repositories[pull.head_repository].tip(pull.head_ref)
        if not closed and tip:
            pull = repository.pulls[pull.number] = replace(pull, head=tip)
            fetch_head(site, repository, pull)
    words: Json = {key: body[key] or "" for key in ("title", "body") if key in body}
    before, repository.issues[pull.number] = (
        repository.issues[pull.number],
        replace(issue, **words, updated_at=site.now()),
    )
    if "base" in body:
        if not repository.tip(body["base"]):
            raise invalid("PullRequest", "base")
        pull = repository.pulls[pull.number] = replace(pull, base_ref=body["base"])
    action = {"closed": "closed", "open": "reopened"}[issue.state] if issue.state != before.state else "edited"
    fire_pull(site, repository, pull, action, request.identity)
    return shown(request, pull.number)


def list_files(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/pulls#list-pull-requests-files"""
    repository, pull = request.repository, pull_of(request)
    tip = pull.base if pull.merged_at else repository.tip(pull.base_ref) or pull.base
    base = repository.git.merge_base(tip, pull.head)
    changes = repository.git.changes(base or pull.base, pull.head)
    return Answer([as_json.change(request.site, repository, change) for change in changes])


def list_commits(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/pulls#list-commits-on-a-pull-request"""
    repository, pull = request.repository, pull_of(request)
    names = repository.git.run("rev-list", "--reverse", f"{pull.base}..{pull.head}").split()
    return Answer([as_json.commit(request.site, repository, repository.git.read_commit(name)) for name in names])


def is_merged(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pulls/pulls#check-if-a-pull-request-has-been-merged"""
    if not pull_of(request).merged_at:
        raise RefusalError(404, "Not Found")
    return Answer(status=204)


def merge(request: Request) -> Answer:
    """405 while something keeps it from being merged, 409 when `sha` is not the head any more; merge or squash.

    https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request
    """
    site, repository, pull, body = request.site, request.repository, pull_of(request), request.body
    issue, method = repository.issues[pull.number], body.get("merge_method") or "merge"
    if method not in ("merge", "squash"):
        raise RefusalError(405, f"This emulator merges by merge or squash, not by {method}")
    if issue.state != "open":
        raise RefusalError(405, "Pull Request is not mergeable")
    if pull.draft:
        raise RefusalError(405, "Pull Request is still a draft")
    if body.get("sha") and body["sha"] != pull.head:
        raise RefusalError(409, "Head branch was modified. Review and try the merge again.")
    blockers = merge_blockers(repository, pull, issue.author, method)
    if blockers:
        raise RefusalError(405, "\n\n".join(["Repository rule violations found", *blockers]))
    tip = repository.tip(pull.base_ref) or ""
    tree = repository.git.merge_tree(tip, pull.head)
    if tree is None:
        raise RefusalError(405, "Pull Request is not mergeable")
    label = f"{pull.head_repository.partition('/')[0]}/{pull.head_ref}"
    squash = method == "squash"
    usual = f"{issue.title} (#{pull.number})" if squash else f"Merge pull request #{pull.number} from {label}"
    words = [body.get("commit_title") or usual, body.get("commit_message") or ("" if squash else issue.title)]
    login = request.identity.login
    person = (login, f"{login}@users.noreply.github.com", site.now())
    parents = [tip] if squash else [tip, pull.head]
    commit = repository.git.write_commit(tree, parents, "\n\n".join(filter(None, words)), person)
    now = site.now()
    done = replace(pull, base=tip, merged_by=login, merged_at=now, merge_commit=commit)
    repository.pulls[pull.number] = done
    repository.issues[pull.number] = replace(issue, state="closed", closed_at=now, updated_at=now)
    move_ref(site, repository, f"refs/heads/{pull.base_ref}", tip, commit, request.identity)
    fire_pull(site, repository, done, "closed", request.identity)
    return Answer({"sha": commit, "merged": True, "message": "Pull Request successfully merged"})


def graphql(request: Request) -> Answer:
    """Of GraphQL, the one mutation that REST lacks and PyGithub uses, and its opposite.

    https://docs.github.com/en/graphql/reference/mutations#markpullrequestreadyforreview
    https://docs.github.com/en/graphql/reference/mutations#convertpullrequesttodraft
    """
    found = re.search(r"\b(markPullRequestReadyForReview|convertPullRequestToDraft)\b", request.field("query"))
    node = request.body.get("variables", {}).get("input", {}).get("pullRequestId", "")
    for repository in request.site.repositories.values():
        for pull in repository.pulls.values():
            issue = repository.issues[pull.number]
            if found is None or node != f"PR_{issue.id}":
                continue
            identity = request.identity
            granted = identity.kind != "user" and repository.grants(identity, WRITES)
            if not (
                granted
                or (identity.kind == "user" and repository.can_write(identity))
                or identity.login == issue.author
            ):
                break
            draft = found[1] == "convertPullRequestToDraft"
            changed = repository.pulls[pull.number] = replace(pull, draft=draft)
            action = "converted_to_draft" if draft else "ready_for_review"
            fire_pull(request.site, repository, changed, action, identity)
            return Answer({"data": {found[1]: {"clientMutationId": None, "pullRequest": {"isDraft": draft}}}})
    return Answer({"data": None, "errors": [{"type": "NOT_FOUND", "message": f"Could not resolve to a node {node!r}"}]})


HERE = "/repos/{owner}/{repo}/pulls"
ROUTES = (
    Route("POST", "/graphql", graphql),
    Route("GET", HERE, list_pulls),
    Route("POST", HERE, create_pull, "read", WRITES),
    Route("GET", HERE + "/{number:int}", get_pull),
    Route("PATCH", HERE + "/{number:int}", update_pull, "triage", WRITES),
    Route("GET", HERE + "/{number:int}/files", list_files),
    Route("GET", HERE + "/{number:int}/commits", list_commits),
    Route("GET", HERE + "/{number:int}/merge", is_merged),
    Route("PUT", HERE + "/{number:int}/merge", merge, "write", ("contents",)),
)
