"""Accounts, repositories and what is in them: https://docs.github.com/en/rest/repos, https://docs.github.com/en/rest/users"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from . import as_json
from .refs import check_update, move_ref
from .routing import Answer, RefusalError, Request, Route
from .rules import rules_at

WRITES = ("contents",)


def get_user(request: Request) -> Answer:
    """https://docs.github.com/en/rest/users/users; an App has no user of its own"""
    login = request.parameters.get("login")
    if login is None:
        if request.identity.kind != "user":
            raise RefusalError(403, "Resource not accessible by integration")
        login = request.identity.login
    if login not in request.site.accounts:
        raise RefusalError(404, "Not Found")
    return Answer(as_json.user(request.site, login))


def get_repository(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/repos#get-a-repository"""
    return Answer(as_json.repository(request.site, request.repository))


def create_fork(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/forks#create-a-fork"""
    site, parent = request.site, request.repository
    name = f"{request.identity.login}/{parent.name}"
    fork = site.repositories.get(name) or site.add_repository(name, {}, parent.full_name)
    return Answer(as_json.repository(site, fork), 202)


def list_collaborators(request: Request) -> Answer:
    """https://docs.github.com/en/rest/collaborators/collaborators#list-repository-collaborators"""
    return Answer([as_json.user(request.site, login) for login in request.repository.collaborators])


def is_collaborator(request: Request) -> Answer:
    """https://docs.github.com/en/rest/collaborators/collaborators#check-if-a-user-is-a-repository-collaborator"""
    if request.parameters["login"] not in request.repository.collaborators:
        raise RefusalError(404, "Not Found")
    return Answer(status=204)


def get_permission(request: Request) -> Answer:
    """Triage and maintain show as read and write in `permission`.

    https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user
    """
    login = request.parameters["login"]
    if login not in request.site.accounts:
        raise RefusalError(404, f"{login} is not a user")
    role = request.repository.role(login)
    permission = {"triage": "read", "maintain": "write"}.get(role, role)
    return Answer({"permission": permission, "role_name": role, "user": as_json.user(request.site, login)})


def list_branches(request: Request) -> Answer:
    """https://docs.github.com/en/rest/branches/branches#list-branches"""
    names = request.repository.git.refs("refs/heads")
    return Answer([_branch(request, name.removeprefix("refs/heads/")) for name in names])


def get_branch(request: Request) -> Answer:
    """https://docs.github.com/en/rest/branches/branches#get-a-branch"""
    if not request.repository.tip(request.parameters["branch"]):
        raise RefusalError(404, "Branch not found")
    return Answer(_branch(request, request.parameters["branch"]))


def _branch(request: Request, name: str) -> Any:
    repository = request.repository
    record = repository.git.read_commit(f"refs/heads/{name}")
    protected = bool(rules_at(repository, f"refs/heads/{name}"))
    return {"name": name, "commit": as_json.commit(request.site, repository, record), "protected": protected}


def get_commit(request: Request) -> Answer:
    """https://docs.github.com/en/rest/commits/commits#get-a-commit"""
    repository = request.repository
    record = repository.git.read_commit(_commit(request, request.parameters["ref"]))
    before = record.parents[0] if record.parents else repository.git.write_tree(None, [])
    files = repository.git.changes(before, record.id)
    shown = [as_json.change(request.site, repository, change) for change in files]
    return Answer({**as_json.commit(request.site, repository, record), "files": shown})


def list_commits(request: Request) -> Answer:
    """Newest first: https://docs.github.com/en/rest/commits/commits#list-commits"""
    repository = request.repository
    start = _commit(request, request.query.get("sha", repository.default_branch))
    paths = ["--", request.query["path"]] if "path" in request.query else []
    names = repository.git.run("rev-list", start, *paths).split()
    return Answer([as_json.commit(request.site, repository, repository.git.read_commit(name)) for name in names])


def compare(request: Request) -> Answer:
    """https://docs.github.com/en/rest/commits/commits#compare-two-commits"""
    site, repository, git = request.site, request.repository, request.repository.git
    base, head = (_commit(request, request.parameters[end].rpartition(":")[2]) for end in ("base", "head"))
    common = git.merge_base(base, head)
    if common is None:
        raise RefusalError(404, "No common ancestor between the two commits.")
    ahead = git.run("rev-list", "--reverse", f"{base}..{head}").split()
    behind = int(git.run("rev-list", "--count", f"{head}..{base}"))
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    return Answer(
        {
            "url": as_json.api(site, repository, f"/compare/{base}...{head}"),
            "status": status,
            "ahead_by": len(ahead),
            "behind_by": behind,
            "total_commits": len(ahead),
            "base_commit": as_json.commit(site, repository, git.read_commit(base)),
            "merge_base_commit": as_json.commit(site, repository, git.read_commit(common)),
            "commits": [as_json.commit(site, repository, git.read_commit(name)) for name in ahead],
            "files": [as_json.change(site, repository, change) for change in git.changes(common, head)],
        }
    )


def get_contents(request: Request) -> Answer:
    """A file with its content, or a folder's entries: https://docs.github.com/en/rest/repos/contents#get-repository-content"""
    site, repository, git = request.site, request.repository, request.repository.git
    path = request.parameters.get("path", "").strip("/")
    at = request.query.get("ref", repository.default_branch)
    commit = _commit(request, at)
    name = git.object_at(f"{commit}:{path}")
    if name is None:
        raise RefusalError(404, "Not Found")
    if git.kind(name) == "blob":
        return Answer(as_json.file_content(site, repository, path, at, name, git.blob(name)))
    entries = []
    for mode, kind, entry, base in git.list_tree(name):
        place = f"{path}/{base}".lstrip("/")
        kind = "dir" if kind == "tree" else "symlink" if mode == "120000" else "file"
        url = as_json.api(site, repository, f"/contents/{quote(place)}?ref={quote(at)}")
        entries.append({"type": kind, "name": base, "path": place, "sha": entry, "url": url})
    return Answer(entries)


def put_contents(request: Request) -> Answer:
    """Create a file, or replace the one whose blob is named; 409 when it is another one by now.

    https://docs.github.com/en/rest/repos/contents#create-or-update-file-contents
    """
    return _change_file(request, base64.b64decode(request.field("content")))


def delete_contents(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/contents#delete-a-file"""
    return _change_file(request, None)


def _change_file(request: Request, data: bytes | None) -> Answer:
    site, repository, git, path = request.site, request.repository, request.repository.git, request.parameters["path"]
    branch = request.body.get("branch") or repository.default_branch
    ref, old = f"refs/heads/{branch}", repository.tip(branch)
    if old is None:
        raise RefusalError(404, f"Branch {branch} not found")
    there, named = git.object_at(f"{old}:{path}"), request.body.get("sha")
    if there != named:
        if there and named:
            raise RefusalError(409, f"{path} does not match {named}")
        raise RefusalError(
            422 if there else 409, 'Invalid request.\n\n"sha" wasn\'t supplied.' if there else f"no {path}"
        )
    blob = None if data is None else git.write_blob(data)
    person = (request.identity.login, f"{request.identity.login}@users.noreply.github.com", site.now())
    new = git.write_commit(git.write_tree(old, [(path, "100644", blob)]), [old], request.field("message"), person)
    check_update(repository, ref, old, new, request.identity, status=409)
    move_ref(site, repository, ref, old, new, request.identity)
    content = None if blob is None or data is None else as_json.file_content(site, repository, path, new, blob, data)
    answer = {"content": content, "commit": as_json.git_commit(site, repository, git.read_commit(new))}
    return Answer(answer, 200 if there else 201)


def _commit(request: Request, name: str) -> str:
    git = request.repository.git
    for place in (f"refs/heads/{name}", f"refs/tags/{name}", name):
        found = git.commit_at(place)
        if found:
            return found
    raise RefusalError(404, f"No commit found for the ref {name}")


HERE = "/repos/{owner}/{repo}"
ROUTES = (
    Route("GET", "/user", get_user),
    Route("GET", "/users/{login}", get_user),
    Route("GET", HERE, get_repository),
    Route("POST", HERE + "/forks", create_fork),
    Route("GET", HERE + "/collaborators", list_collaborators, "write"),
    Route("GET", HERE + "/collaborators/{login}/permission", get_permission),
    Route("GET", HERE + "/collaborators/{login}", is_collaborator, "write"),
    Route("GET", HERE + "/branches", list_branches),
    Route("GET", HERE + "/branches/{branch:path}", get_branch),
    Route("GET", HERE + "/commits", list_commits),
    Route("GET", HERE + "/commits/{ref:path}", get_commit),
    Route("GET", HERE + "/compare/{base:path}...{head:path}", compare),
    Route("GET", HERE + "/contents", get_contents),
    Route("GET", HERE + "/contents/{path:path}", get_contents),
    Route("PUT", HERE + "/contents/{path:path}", put_contents, "write", WRITES),
    Route("DELETE", HERE + "/contents/{path:path}", delete_contents, "write", WRITES),
)
