"""Workflows and their runs over REST: list, dispatch, cancel, start again. https://docs.github.com/en/rest/actions"""

from __future__ import annotations

from typing import Any
from zlib import crc32

from . import as_json
from .records import Json, Run
from .refs import fire
from .routing import Answer, RefusalError, Request, Route
from .workflows import FOLDER, Workflow, list_workflows, read_workflow

WRITES = ("actions",)


def list_all(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/workflows#list-repository-workflows"""
    tip = request.repository.tip(request.repository.default_branch) or ""
    return Answer([_shown(request, one) for one in list_workflows(request.repository, tip)], listed="workflows")


def get_workflow(request: Request) -> Answer:
    """By id or by file name: https://docs.github.com/en/rest/actions/workflows#get-a-workflow"""
    return Answer(_shown(request, _workflow(request)))


def dispatch(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/workflows#create-a-workflow-dispatch-event"""
    repository, path = request.repository, _workflow(request).path
    name = request.field("ref").removeprefix("refs/heads/")
    tip = repository.tip(name)
    if tip is None:
        raise RefusalError(422, f"No ref found for: {name}")
    workflow = read_workflow(repository, tip, path)
    if workflow is None or "workflow_dispatch" not in workflow.triggers:
        raise RefusalError(422, "Workflow does not have 'workflow_dispatch' trigger")
    inputs = _checked_inputs(workflow, request.body.get("inputs") or {})
    ref = f"refs/heads/{name}"
    payload: Json = {"ref": ref, "inputs": inputs, "workflow": path}
    fire(request.site, repository, "workflow_dispatch", "", payload, request.identity, ref)
    return Answer(status=204)


def dispatch_repository(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event"""
    payload: Json = {"client_payload": request.body.get("client_payload", {})}
    fire(
        request.site, request.repository, "repository_dispatch", request.field("event_type"), payload, request.identity
    )
    return Answer(status=204)


def list_runs(request: Request) -> Answer:
    """Newest first: https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository"""
    repository, query = request.repository, request.query
    path = _workflow(request).path if "workflow" in request.parameters else None
    found = [
        as_json.run(request.site, repository, run)
        for run in reversed(repository.runs.values())
        if path in (None, run.workflow)
        and query.get("branch", run.branch) == run.branch
        and query.get("event", run.event) == run.event
        and query.get("head_sha", run.head) == run.head
        and query.get("status", run.status) in (run.status, run.conclusion)
    ]
    return Answer(found, listed="workflow_runs")


def get_run(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/workflow-runs#get-a-workflow-run"""
    return Answer(as_json.run(request.site, request.repository, _run(request)))


def cancel_run(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/workflow-runs#cancel-a-workflow-run"""
    run = _run(request)
    if run.status == "completed" or request.site.actions is None:
        raise RefusalError(409, "Cannot cancel a workflow run that is completed.")
    request.site.actions.cancel(run)
    return Answer({}, 202)


def rerun(request: Request) -> Answer:
    """With the same event and commit: https://docs.github.com/en/rest/actions/workflow-runs#re-run-a-workflow"""
    run = _run(request)
    if run.status != "completed" or request.site.actions is None:
        raise RefusalError(403, "This workflow is already running")
    request.site.actions.rerun(run)
    return Answer({}, 201)


def _shown(request: Request, workflow: Workflow) -> Json:
    place = f"/actions/workflows/{_id(workflow.path)}"
    return {
        "id": _id(workflow.path),
        "name": workflow.name,
        "path": workflow.path,
        "state": "active",
        "url": as_json.api(request.site, request.repository, place),
        "html_url": as_json.page(request.site, request.repository, f"/{workflow.path}"),
    }


def _id(path: str) -> int:
    return crc32(path.encode())


def _workflow(request: Request) -> Workflow:
    tip, wanted = request.repository.tip(request.repository.default_branch) or "", request.parameters["workflow"]
    for workflow in list_workflows(request.repository, tip):
        if wanted in (str(_id(workflow.path)), workflow.path.removeprefix(f"{FOLDER}/")):
            return workflow
    raise RefusalError(404, "Not Found")


def _run(request: Request) -> Run:
    run = request.repository.runs.get(int(request.parameters["run"]))
    if run is None:
        raise RefusalError(404, "Not Found")
    return run


def _checked_inputs(workflow: Workflow, given: Json) -> dict[str, str]:
    """All that are required, none that is unknown, and choices from their options; as strings."""
    declared: dict[str, Any] = (workflow.triggers["workflow_dispatch"] or {}).get("inputs") or {}
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise RefusalError(422, f"Unexpected inputs provided: {unknown}")
    inputs = {}
    for name, form in declared.items():
        form = form or {}
        value = given.get(name, form.get("default"))
        if value in (None, "") and form.get("required"):
            raise RefusalError(422, f"Required input '{name}' not provided")
        if form.get("type") == "choice" and value is not None and value not in form["options"]:
            raise RefusalError(422, f"Provided value '{value}' for input '{name}' not in the list of allowed values")
        if value is not None:
            inputs[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return inputs


HERE = "/repos/{owner}/{repo}"
RUN = HERE + "/actions/runs/{run:int}"
ROUTES = (
    Route("GET", HERE + "/actions/workflows", list_all),
    Route("GET", HERE + "/actions/workflows/{workflow}", get_workflow),
    Route("POST", HERE + "/actions/workflows/{workflow}/dispatches", dispatch, "write", WRITES),
    Route("GET", HERE + "/actions/workflows/{workflow}/runs", list_runs),
    Route("POST", HERE + "/dispatches", dispatch_repository, "write", ("contents",)),
    Route("GET", HERE + "/actions/runs", list_runs),
    Route("GET", RUN, get_run),
    Route("POST", RUN + "/cancel", cancel_run, "write", WRITES),
    Route("POST", RUN + "/rerun", rerun, "write", WRITES),
)
