"""Records as the JSON objects that GitHub's REST API gives: https://docs.github.com/en/rest

Only fields that PyGithub or this project reads are there; addresses are complete, since PyGithub follows them.
"""

from __future__ import annotations

import base64
from urllib.parse import quote

from .git_store import Change, Commit
from .records import Comment, Issue, Json, Pull, Review, Run
from .rules import merge_blockers
from .site import Repository, Site


def api(site: Site, repo: Repository, path: str = "") -> str:
    return f"{site.url}/repos/{repo.full_name}{path}"


def page(site: Site, repo: Repository, path: str = "") -> str:
    return f"{site.url}/{repo.full_name}{path}"


def user(site: Site, login: str) -> Json:
    kind = "Bot" if login.endswith("[bot]") else "User"
    return {"login": login, "id": site.accounts.get(login, 0), "type": kind, "url": f"{site.url}/users/{login}"}


OPTIONS = {
    "allow_auto_merge": False,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_squash_merge": True,
    "delete_branch_on_merge": False,
    "has_issues": True,
}


def repository(site: Site, repo: Repository) -> Json:
    return {
        "id": repo.id,
        "node_id": f"R_{repo.id}",
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": user(site, repo.owner),
        "private": repo.private,
        "fork": bool(repo.parent),
        "default_branch": repo.default_branch,
        "url": api(site, repo),
        "html_url": page(site, repo),
        "clone_url": f"{page(site, repo)}.git",
        **OPTIONS,
        **repo.options,
    }


def git_commit(site: Site, repo: Repository, record: Commit) -> Json:
    def person(who: tuple[str, str, str]) -> Json:
        return dict(zip(("name", "email", "date"), who, strict=True))

    return {
        "sha": record.id,
        "url": api(site, repo, f"/git/commits/{record.id}"),
        "message": record.message,
        "tree": {"sha": record.tree, "url": api(site, repo, f"/git/trees/{record.tree}")},
        "author": person(record.author),
        "committer": person(record.committer),
        "parents": [{"sha": sha, "url": api(site, repo, f"/git/commits/{sha}")} for sha in record.parents],
    }


def commit(site: Site, repo: Repository, record: Commit) -> Json:
    login = record.author[0]
    return {
        "sha": record.id,
        "url": api(site, repo, f"/commits/{record.id}"),
        "html_url": page(site, repo, f"/commit/{record.id}"),
        "commit": git_commit(site, repo, record),
        "author": user(site, login) if login in site.accounts else None,
        "parents": [{"sha": sha, "url": api(site, repo, f"/commits/{sha}")} for sha in record.parents],
    }


def ref(site: Site, repo: Repository, name: str, target: str, kind: str) -> Json:
    folder = "tags" if kind == "tag" else "commits"
    return {
        "ref": name,
        "url": api(site, repo, f"/git/{name}"),
        "object": {"type": kind, "sha": target, "url": api(site, repo, f"/git/{folder}/{target}")},
    }


def change(site: Site, repo: Repository, record: Change) -> Json:
    return {
        "filename": record.path,
        "status": record.status,
        "sha": record.blob,
        "additions": record.additions,
        "deletions": record.deletions,
        "changes": record.additions + record.deletions,
        "contents_url": api(site, repo, f"/contents/{quote(record.path)}"),
        **({"previous_filename": record.before} if record.before else {}),
        **({"patch": record.patch} if record.patch else {}),
    }


def file_content(site: Site, repo: Repository, path: str, at: str, sha: str, data: bytes) -> Json:
    return {
        "type": "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "size": len(data),
        "encoding": "base64",
        "content": base64.b64encode(data).decode(),
        "url": api(site, repo, f"/contents/{quote(path)}?ref={quote(at)}"),
    }


def issue(site: Site, repo: Repository, record: Issue) -> Json:
    number = record.number
    return {
        "id": record.id,
        "node_id": f"I_{record.id}",
        "number": number,
        "title": record.title,
        "body": record.body,
        "state": record.state,
        "user": user(site, record.author),
        "labels": [label(site, repo, name) for name in record.labels],
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "closed_at": record.closed_at,
        "url": api(site, repo, f"/issues/{number}"),
        "html_url": page(site, repo, f"/issues/{number}"),
        "comments_url": api(site, repo, f"/issues/{number}/comments"),
        **({"pull_request": {"url": api(site, repo, f"/pulls/{number}")}} if number in repo.pulls else {}),
    }


def label(site: Site, repo: Repository, name: str) -> Json:
    return {"name": name, "url": api(site, repo, f"/labels/{quote(name)}"), **repo.labels[name]}


def pull(site: Site, repo: Repository, record: Pull) -> Json:
    """A pull request; whether it can be merged is worked out on the spot, while it is open."""
    number, shared = record.number, repo.issues[record.number]
    source = site.repositories[record.head_repository]
    open_ = shared.state == "open"
    clean = open_ and repo.git.merge_tree(repo.tip(record.base_ref) or "", record.head) is not None
    state = "unknown"
    if open_:
        blocked = record.draft or merge_blockers(repo, record, shared.author)
        state = "dirty" if not clean else "draft" if record.draft else "blocked" if blocked else "clean"
    return {
        **issue(site, repo, shared),
        "node_id": f"PR_{shared.id}",
        "url": api(site, repo, f"/pulls/{number}"),
        "html_url": page(site, repo, f"/pull/{number}"),
        "issue_url": api(site, repo, f"/issues/{number}"),
        "draft": record.draft,
        "head": _end(site, source, record.head_ref, record.head),
        "base": _end(site, repo, record.base_ref, record.base),
        "mergeable": clean if open_ else None,
        "mergeable_state": state,
        "merged": record.merged_at is not None,
        "merged_at": record.merged_at,
        "merged_by": user(site, record.merged_by) if record.merged_by else None,
        "merge_commit_sha": record.merge_commit,
        "requested_reviewers": [user(site, login) for login in record.reviewers],
        "requested_teams": [],
    }


def _end(site: Site, repo: Repository, branch: str, sha: str) -> Json:
    return {
        "ref": branch,
        "sha": sha,
        "label": f"{repo.owner}:{branch}",
        "user": user(site, repo.owner),
        "repo": repository(site, repo),
    }


def review(site: Site, repo: Repository, record: Review) -> Json:
    return {
        "id": record.id,
        "user": user(site, record.author.login),
        "state": record.state,
        "body": record.body,
        "commit_id": record.commit,
        "submitted_at": record.submitted_at,
        "html_url": page(site, repo, f"/pull/{record.pull}#pullrequestreview-{record.id}"),
        "pull_request_url": api(site, repo, f"/pulls/{record.pull}"),
    }


def comment(site: Site, repo: Repository, record: Comment) -> Json:
    return {
        "id": record.id,
        "body": record.body,
        "user": user(site, record.author),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "url": api(site, repo, f"/issues/comments/{record.id}"),
        "html_url": page(site, repo, f"/issues/{record.number}#issuecomment-{record.id}"),
        "issue_url": api(site, repo, f"/issues/{record.number}"),
    }


def run(site: Site, repo: Repository, record: Run) -> Json:
    return {
        "id": record.id,
        "name": record.name,
        "display_title": record.title,
        "path": record.workflow,
        "event": record.event,
        "head_branch": record.branch,
        "head_sha": record.head,
        "status": record.status,
        "conclusion": record.conclusion,
        "run_number": record.number,
        "run_attempt": record.attempt,
        "actor": user(site, record.actor),
        "created_at": record.created_at,
        "updated_at": record.created_at,
        "url": api(site, repo, f"/actions/runs/{record.id}"),
        "html_url": page(site, repo, f"/actions/runs/{record.id}"),
        "rerun_url": api(site, repo, f"/actions/runs/{record.id}/rerun"),
        "cancel_url": api(site, repo, f"/actions/runs/{record.id}/cancel"),
    }
