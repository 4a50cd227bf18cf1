"""Commit statuses and check runs, each with who posted it.

https://docs.github.com/en/rest/commits/statuses and https://docs.github.com/en/rest/checks/runs
"""

from __future__ import annotations

from dataclasses import replace

from . import as_json
from .records import CheckRun, Json, Status
from .refs import fire
from .routing import Answer, RefusalError, Request, Route, invalid
from .site import Repository, Site

CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")


def create_status(request: Request) -> Answer:
    """By anybody with write access: https://docs.github.com/en/rest/commits/statuses#create-a-commit-status"""
    site, repository, body, identity = request.site, request.repository, request.body, request.identity
    if request.field("state") not in ("error", "failure", "pending", "success"):
        raise invalid("Status", "state")
    if len(body.get("description") or "") > 140:
        raise invalid("Status", "description", "too_long")
    commit = repository.git.commit_at(request.parameters["sha"])
    if commit is None:
        raise RefusalError(422, f"No commit found for SHA: {request.parameters['sha']}")
    status = Status(
        site.next_id(),
        commit,
        body.get("context", "default"),
        body["state"],
        body.get("description"),
        body.get("target_url"),
        identity.login,
        identity.app_id,
        site.now(),
    )
    repository.statuses.append(status)
    shown = status_as_json(site, repository, status)
    fire(site, repository, "status", "", {**shown, "sha": commit}, identity)
    return Answer(shown, 201)


def list_statuses(request: Request) -> Answer:
    """Newest first: https://docs.github.com/en/rest/commits/statuses#list-commit-statuses-for-a-reference"""
    statuses = [status for status in request.repository.statuses if status.commit == _commit(request)]
    return Answer([status_as_json(request.site, request.repository, status) for status in reversed(statuses)])


def combined_status(request: Request) -> Answer:
    """https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference"""
    repository, commit = request.repository, _commit(request)
    newest = {status.context: status for status in repository.statuses if status.commit == commit}
    states = {status.state for status in newest.values()}
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return Answer(
        {
            "sha": commit,
            "state": state,
            "statuses": [status_as_json(request.site, repository, status) for status in newest.values()],
            "total_count": len(newest),
            "repository": as_json.repository(request.site, repository),
            "commit_url": as_json.api(request.site, repository, f"/commits/{commit}"),
        }
    )


def create_check_run(request: Request) -> Answer:
    """By Apps only: https://docs.github.com/en/rest/checks/runs#create-a-check-run"""
    site, repository, identity = request.site, request.repository, request.identity
    if identity.app_id is None:
        raise RefusalError(403, "You must authenticate via a GitHub App.")
    commit = repository.git.commit_at(request.field("head_sha"))
    if commit is None:
        raise RefusalError(422, f"No commit found for SHA: {request.body['head_sha']}")
    app = identity.login.removesuffix("[bot]")
    blank = CheckRun(
        site.next_id(),
        commit,
        request.field("name"),
        app,
        identity.app_id,
        "queued",
        None,
        {},
        None,
        "",
        site.now(),
        None,
    )
    return _store(request, blank, 201)


def update_check_run(request: Request) -> Answer:
    """By the App that made it: https://docs.github.com/en/rest/checks/runs#update-a-check-run"""
    run = _run(request)
    if run.app_id != request.identity.app_id:
        raise RefusalError(403, "Invalid app_id. Resource not accessible by integration")
    return _store(request, run)


def get_check_run(request: Request) -> Answer:
    """https://docs.github.com/en/rest/checks/runs#get-a-check-run"""
    return Answer(check_run_as_json(request.site, request.repository, _run(request)))


def list_check_runs(request: Request) -> Answer:
    """Newest of each App and name: https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference"""
    commit, query = _commit(request), request.query
    runs = [run for run in request.repository.check_runs.values() if run.commit == commit]
    if query.get("filter", "latest") == "latest":
        runs = list({(run.app_id, run.name): run for run in runs}.values())
    found = [
        check_run_as_json(request.site, request.repository, run)
        for run in runs
        if query.get("check_name", run.name) == run.name and query.get("app_id", str(run.app_id)) == str(run.app_id)
    ]
    return Answer(found, listed="check_runs")


def _store(request: Request, run: CheckRun, status: int = 200) -> Answer:
    body = request.body
    words = {key: body[key] for key in ("name", "details_url", "external_id", "status", "conclusion") if key in body}
    run = replace(run, **words, output={**run.output, **(body.get("output") or {})})
    if run.conclusion:
        if run.conclusion not in CONCLUSIONS:
            raise invalid("CheckRun", "conclusion")
        run = replace(run, status="completed", completed_at=body.get("completed_at") or request.site.now())
    elif run.status == "completed":
        raise invalid("CheckRun", "conclusion", "missing_field")
    request.repository.check_runs[run.id] = run
    return Answer(check_run_as_json(request.site, request.repository, run), status)


def _run(request: Request) -> CheckRun:
    run = request.repository.check_runs.get(int(request.parameters["run"]))
    if run is None:
        raise RefusalError(404, "Not Found")
    return run


def _commit(request: Request) -> str:
    git, name = request.repository.git, request.parameters["ref"]
    commit = git.commit_at(f"refs/heads/{name}") or git.commit_at(name)
    if commit is None:
        raise RefusalError(422, f"No commit found for SHA: {name}")
    return commit


def status_as_json(site: Site, repo: Repository, record: Status) -> Json:
    return {
        "id": record.id,
        "context": record.context,
        "state": record.state,
        "description": record.description,
        "target_url": record.target_url,
        "creator": as_json.user(site, record.author),
        "created_at": record.created_at,
        "updated_at": record.created_at,
        "url": as_json.api(site, repo, f"/statuses/{record.commit}"),
    }


def check_run_as_json(site: Site, repo: Repository, record: CheckRun) -> Json:
    return {
        "id": record.id,
        "name": record.name,
        "head_sha": record.commit,
        "status": record.status,
        "conclusion": record.conclusion,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0, **record.output},
        "details_url": record.details_url,
        "external_id": record.external_id,
        "started_at": record.started_at,
        "completed_at": record.completed_at,
        "app": {"id": record.app_id, "slug": record.app, "name": record.app},
        "url": as_json.api(site, repo, f"/check-runs/{record.id}"),
        "html_url": as_json.page(site, repo, f"/runs/{record.id}"),
    }


HERE = "/repos/{owner}/{repo}"
ROUTES = (
    Route("POST", HERE + "/statuses/{sha:sha}", create_status, "write", ("statuses",)),
    Route("GET", HERE + "/statuses/{ref:path}", list_statuses),
    Route("GET", HERE + "/commits/{ref:path}/statuses", list_statuses),
    Route("GET", HERE + "/commits/{ref:path}/status", combined_status),
    Route("POST", HERE + "/check-runs", create_check_run, "write", ("checks",)),
    Route("GET", HERE + "/check-runs/{run:int}", get_check_run),
    Route("PATCH", HERE + "/check-runs/{run:int}", update_check_run, "write", ("checks",)),
    Route("GET", HERE + "/commits/{ref:path}/check-runs", list_check_runs),
)
