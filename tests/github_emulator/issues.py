"""Issues, their comments and labels, for pull requests too. https://docs.github.com/en/rest/issues

"Every pull request is an issue": https://docs.github.com/en/rest/issues/issues
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import as_json
from .records import Comment, Issue, Json
from .refs import fire, fire_pull
from .routing import Answer, RefusalError, Request, Route, invalid

WRITES = ("issues", "pull-requests")


def list_issues(request: Request) -> Answer:
    """Newest first, pull requests among them: https://docs.github.com/en/rest/issues/issues#list-repository-issues"""
    repository, query = request.repository, request.query
    wanted = set(filter(None, query.get("labels", "").split(",")))
    found = [
        as_json.issue(request.site, repository, issue)
        for issue in sorted(repository.issues.values(), key=lambda issue: -issue.number)
        if query.get("state", "open") in ("all", issue.state) and wanted <= set(issue.labels)
        if query.get("creator", issue.author) == issue.author
    ]
    return Answer(found)


def create_issue(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/issues#create-an-issue"""
    site, repository, now = request.site, request.repository, request.site.now()
    number, body = len(repository.issues) + 1, request.body.get("body") or ""
    labels = tuple(request.body.get("labels", ())) if _may_label(request) else ()
    _ensure_labels(request, labels)
    title, author = request.field("title"), request.identity.login
    repository.issues[number] = Issue(number, site.next_id(), title, body, author, now, now, labels)
    return _changed(request, number, "opened", 201)


def get_issue(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/issues#get-an-issue"""
    return Answer(as_json.issue(request.site, request.repository, _issue(request)))


def update_issue(request: Request) -> Answer:
    """By its author or with triage access: https://docs.github.com/en/rest/issues/issues#update-an-issue"""
    issue, body, identity = _issue(request), request.body, request.identity
    if identity.kind == "user" and identity.login != issue.author and not _may_label(request):
        raise RefusalError(403, "Must have triage rights to Repository.")
    words: Json = {key: body[key] or "" for key in ("title", "body") if key in body}
    labels = tuple(body.get("labels", issue.labels))
    _ensure_labels(request, labels)
    state = body.get("state", issue.state)
    closed_at = request.site.now() if state == "closed" else None
    changed = replace(issue, **words, labels=labels, state=state, closed_at=closed_at, updated_at=request.site.now())
    request.repository.issues[issue.number] = changed
    action = {"closed": "closed", "open": "reopened"}[state] if state != issue.state else "edited"
    return _changed(request, issue.number, action)


def list_comments(request: Request) -> Answer:
    """Oldest first: https://docs.github.com/en/rest/issues/comments#list-issue-comments"""
    number, repository = _issue(request).number, request.repository
    comments = [comment for comment in repository.comments.values() if comment.number == number]
    return Answer([as_json.comment(request.site, repository, comment) for comment in comments])


def create_comment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/comments#create-an-issue-comment"""
    number, now = _issue(request).number, request.site.now()
    comment = Comment(request.site.next_id(), number, request.identity.login, _comment_body(request), now, now)
    return _commented(request, comment, "created", 201)


def get_comment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/comments#get-an-issue-comment"""
    return Answer(as_json.comment(request.site, request.repository, _comment(request)))


def update_comment(request: Request) -> Answer:
    """By its author or with write access: https://docs.github.com/en/rest/issues/comments#update-an-issue-comment"""
    comment = _comment(request)
    _check_author(request, comment)
    return _commented(request, replace(comment, body=_comment_body(request), updated_at=request.site.now()), "edited")


def delete_comment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/comments#delete-an-issue-comment"""
    comment = _comment(request)
    _check_author(request, comment)
    del request.repository.comments[comment.id]
    return Answer(status=204)


def list_issue_labels(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#list-labels-for-an-issue"""
    return _labels(request, _issue(request).labels)


def add_labels(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#add-labels-to-an-issue"""
    issue = _issue(request)
    names = request.body if isinstance(request.body, list) else request.field("labels")
    return _relabel(request, issue, tuple(dict.fromkeys((*issue.labels, *names))))


def set_labels(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#set-labels-for-an-issue"""
    names = request.body if isinstance(request.body, list) else request.field("labels")
    return _relabel(request, _issue(request), tuple(dict.fromkeys(names)))


def remove_label(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#remove-a-label-from-an-issue"""
    issue, name = _issue(request), request.parameters["name"]
    if name not in issue.labels:
        raise RefusalError(404, "Label does not exist")
    return _relabel(request, issue, tuple(label for label in issue.labels if label != name))


def list_labels(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#list-labels-for-a-repository"""
    return _labels(request, tuple(request.repository.labels))


def create_label(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#create-a-label"""
    name, body = request.field("name"), request.body
    if name in request.repository.labels:
        raise invalid("Label", "name", "already_exists")
    label = {"color": body.get("color", "ededed"), "description": body.get("description")}
    request.repository.labels[name] = label
    shown = as_json.label(request.site, request.repository, name)
    fire(request.site, request.repository, "label", "created", {"label": shown}, request.identity)
    return Answer(shown, 201)


def get_label(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#get-a-label"""
    if request.parameters["name"] not in request.repository.labels:
        raise RefusalError(404, "Not Found")
    return Answer(as_json.label(request.site, request.repository, request.parameters["name"]))


def _issue(request: Request) -> Issue:
    if request.number not in request.repository.issues:
        raise RefusalError(404, "Not Found")
    return request.repository.issues[request.number]


def _comment(request: Request) -> Comment:
    comment = request.repository.comments.get(int(request.parameters["comment"]))
    if comment is None:
        raise RefusalError(404, "Not Found")
    return comment


def _comment_body(request: Request) -> str:
    body: str = request.field("body")
    if not body or len(body) > 65536:
        raise RefusalError(422, "Validation Failed", [f"body has {len(body)} characters; 1 to 65536 are allowed"])
    return body


def _check_author(request: Request, comment: Comment) -> None:
    identity = request.identity
    if identity.kind == "user" and identity.login != comment.author and not request.repository.can_write(identity):
        raise RefusalError(403, "Must have write rights to Repository.")


def _may_label(request: Request) -> bool:
    identity = request.identity
    return identity.kind != "user" or request.repository.has_role(identity.login, "triage")


def _ensure_labels(request: Request, names: tuple[str, ...]) -> None:
    for name in names:
        request.repository.labels.setdefault(name, {"color": "ededed", "description": None})


def _labels(request: Request, names: tuple[str, ...]) -> Answer:
    return Answer([as_json.label(request.site, request.repository, name) for name in names])


def _relabel(request: Request, issue: Issue, names: tuple[str, ...]) -> Answer:
    _ensure_labels(request, names)
    request.repository.issues[issue.number] = replace(issue, labels=names, updated_at=request.site.now())
    for action, gone_or_come in (
        ("labeled", set(names) - set(issue.labels)),
        ("unlabeled", set(issue.labels) - set(names)),
    ):
        for name in sorted(gone_or_come):
            _fire(request, issue.number, action, label=as_json.label(request.site, request.repository, name))
    return _labels(request, names)


def _changed(request: Request, number: int, action: str, status: int = 200) -> Answer:
    _fire(request, number, action)
    return Answer(as_json.issue(request.site, request.repository, request.repository.issues[number]), status)


def _commented(request: Request, comment: Comment, action: str, status: int = 200) -> Answer:
    site, repository = request.site, request.repository
    repository.comments[comment.id] = comment
    shown = as_json.comment(site, repository, comment)
    payload: Json = {"comment": shown, "issue": as_json.issue(site, repository, repository.issues[comment.number])}
    fire(site, repository, "issue_comment", action, payload, request.identity)
    return Answer(shown, status)


def _fire(request: Request, number: int, action: str, **more: Any) -> None:
    """As an event of the pull request, where the issue is one."""
    site, repository = request.site, request.repository
    if number in repository.pulls:
        fire_pull(site, repository, repository.pulls[number], action, request.identity, **more)
    else:
        payload = {"issue": as_json.issue(site, repository, repository.issues[number]), **more}
        fire(site, repository, "issues", action, payload, request.identity)


HERE = "/repos/{owner}/{repo}"
ISSUE = HERE + "/issues/{number:int}"
COMMENT = HERE + "/issues/comments/{comment:int}"
ROUTES = (
    Route("GET", HERE + "/issues", list_issues),
    Route("POST", HERE + "/issues", create_issue, "read", ("issues",)),
    Route("GET", ISSUE, get_issue),
    Route("PATCH", ISSUE, update_issue, "read", WRITES),
    Route("GET", ISSUE + "/comments", list_comments),
    Route("POST", ISSUE + "/comments", create_comment, "read", WRITES),
    Route("GET", COMMENT, get_comment),
    Route("PATCH", COMMENT, update_comment, "read", WRITES),
    Route("DELETE", COMMENT, delete_comment, "read", WRITES),
    Route("GET", ISSUE + "/labels", list_issue_labels),
    Route("POST", ISSUE + "/labels", add_labels, "triage", WRITES),
    Route("PUT", ISSUE + "/labels", set_labels, "triage", WRITES),
    Route("DELETE", ISSUE + "/labels/{name}", remove_label, "triage", WRITES),
    Route("GET", HERE + "/labels", list_labels),
    Route("POST", HERE + "/labels", create_label, "write", WRITES),
    Route("GET", HERE + "/labels/{name}", get_label),
)
