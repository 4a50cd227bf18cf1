"""What an administrator ticks: options of the repository, of its workflows' token, of its Pages, and its labels.

https://docs.github.com/en/rest/repos/repos#update-a-repository
https://docs.github.com/en/rest/actions/permissions and https://docs.github.com/en/rest/pages/pages
"""

from __future__ import annotations

from . import as_json
from .issues import get_label
from .routing import Answer, RefusalError, Request, Route, invalid

WRITES = ("administration",)
TOKEN_OPTIONS = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": False}


def update_repository(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/repos#update-a-repository"""
    known = {name: value for name, value in request.body.items() if name in as_json.OPTIONS}
    request.repository.options.update(known)
    return Answer(as_json.repository(request.site, request.repository))


def get_token_options(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/permissions#get-default-workflow-permissions-for-a-repository"""
    return Answer({**TOKEN_OPTIONS, **request.repository.token_options})


def set_token_options(request: Request) -> Answer:
    """https://docs.github.com/en/rest/actions/permissions#set-default-workflow-permissions-for-a-repository"""
    if request.body.get("default_workflow_permissions") not in ("read", "write"):
        raise invalid("Repository", "default_workflow_permissions")
    request.repository.token_options.update(
        {name: request.body[name] for name in TOKEN_OPTIONS if name in request.body}
    )
    return Answer(status=204)


def get_pages(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pages/pages#get-a-apiname-pages-site"""
    if not request.repository.pages:
        raise RefusalError(404, "Not Found")
    return Answer(request.repository.pages)


def create_pages(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pages/pages#create-a-apiname-pages-site"""
    if request.repository.pages:
        raise RefusalError(409, "GitHub Pages is already enabled.")
    return _set_pages(request, 201)


def update_pages(request: Request) -> Answer:
    """https://docs.github.com/en/rest/pages/pages#update-information-about-a-apiname-pages-site"""
    get_pages(request)
    return _set_pages(request, 204)


def _set_pages(request: Request, status: int) -> Answer:
    request.repository.pages = {"build_type": request.field("build_type"), "status": "built"}
    return Answer(request.repository.pages if status == 201 else None, status)


def update_label(request: Request) -> Answer:
    """https://docs.github.com/en/rest/issues/labels#update-a-label"""
    get_label(request)
    label = request.repository.labels[request.parameters["name"]]
    label.update({name: request.body[name] for name in ("color", "description") if name in request.body})
    return get_label(request)


HERE = "/repos/{owner}/{repo}"
TOKEN = HERE + "/actions/permissions/workflow"
ROUTES = (
    Route("PATCH", HERE, update_repository, "admin", WRITES),
    Route("GET", TOKEN, get_token_options, "admin"),
    Route("PUT", TOKEN, set_token_options, "admin", WRITES),
    Route("GET", HERE + "/pages", get_pages),
    Route("POST", HERE + "/pages", create_pages, "admin", WRITES),
    Route("PUT", HERE + "/pages", update_pages, "admin", WRITES),
    Route("PATCH", HERE + "/labels/{name}", update_label, "write", ("issues", "pull-requests")),
)
