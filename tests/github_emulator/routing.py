"""How a request finds its handler, and what everybody must pass before it does.

A route names the role that a user needs and the permissions of which an App or a GITHUB_TOKEN needs one:
https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps
Lists are cut into pages with a Link header: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from .git_store import GitError
from .records import Identity, Json
from .site import Repository, Site

KINDS = {"int": r"\d+", "path": r".+", "sha": r"[0-9a-f]{4,40}", "": r"[^/]+"}


class RefusalError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        if errors:
            self.body["errors"] = errors


def invalid(resource: str, name: str, code: str = "invalid") -> RefusalError:
    """A field that can't be: https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed"""
    return RefusalError(422, "Validation Failed", [{"resource": resource, "field": name, "code": code}])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives: a status, and JSON, or bytes with their content type. `listed` wraps pages of a list."""

    data: Any = None
    status: int = 200
    listed: str = ""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One REST request, from whom, and the parameters of its path and query."""

    site: Site
    identity: Identity
    method: str
    path: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @cached_property
    def body(self) -> Any:
        try:
            return json.loads(self.content) if self.content else {}
        except ValueError:
            raise RefusalError(400, "Problems parsing JSON") from None

    def field(self, name: str) -> Any:
        """A field of the body that must be there."""
        if not isinstance(self.body, dict) or name not in self.body:
            raise RefusalError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return self.body[name]

    @cached_property
    def repository(self) -> Repository:
        found = self.site.repositories.get(f"{self.parameters['owner']}/{self.parameters['repo']}")
        if found is None or (found.private and not found.has_role(self.identity.login, "read")):
            raise RefusalError(404, "Not Found")
        return found

    @property
    def number(self) -> int:
        return int(self.parameters["number"])


Handler = Callable[[Request], Answer]


class Route:
    """One operation. Writing without `permissions` is for users only."""

    def __init__(
        self, method: str, template: str, handler: Handler, role: str = "read", permissions: tuple[str, ...] = ()
    ) -> None:
        self.method, self.handler, self.role, self.permissions = method, handler, role, permissions
        self.in_repository = template.startswith("/repos/{owner}/{repo}")
        pattern = re.sub(
            r"\{(\w+)(?::(\w+))?\}", lambda m: f"(?P<{m[1]}>{KINDS[m[2] or '']})", template.replace(".", r"\.")
        )
        self.pattern = re.compile(pattern)


def serve(routes: tuple[Route, ...], request: Request) -> Answer:
    """Find the handler, check access, answer. Raises: RefusalError."""
    for route in routes:
        found = route.pattern.fullmatch(request.path)
        if found is None or route.method != request.method:
            continue
        asked = Request(**{**request.__dict__, "parameters": found.groupdict()})
        _check_access(asked, route)
        try:
            answer = route.handler(asked)
        except GitError as error:
            raise RefusalError(422, str(error)) from error
        return _page(asked, answer) if isinstance(answer.data, list) and route.method == "GET" else answer
    raise RefusalError(404, "Not Found")


def _check_access(request: Request, route: Route) -> None:
    identity = request.identity
    reads = route.method == "GET"
    if identity.kind == "anonymous" and not (reads and route.in_repository):
        raise RefusalError(401, "Requires authentication")
    if not route.in_repository:
        return
    repository = request.repository
    if identity.kind in ("app", "actions"):
        if not reads and not repository.grants(identity, route.permissions):
            raise RefusalError(403, "Resource not accessible by integration")
    elif not repository.has_role(identity.login, route.role):
        raise RefusalError(403, f"Must have {route.role} rights to Repository.")


def _page(request: Request, answer: Answer) -> Answer:
    items = answer.data
    size = min(max(int(request.query.get("per_page", 30)), 1), 100)
    page = max(int(request.query.get("page", 1)), 1)
    last = max((len(items) + size - 1) // size, 1)
    numbers = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
    if page >= last:
        del numbers["next"], numbers["last"]
    if page == 1:
        del numbers["prev"], numbers["first"]
    links = ", ".join(
        f'<{request.site.url}{quote(request.path)}?{urlencode({**request.query, "page": number})}>; rel="{relation}"'
        for relation, number in numbers.items()
    )
    shown = items[(page - 1) * size : page * size]
    data = {"total_count": len(items), answer.listed: shown} if answer.listed else shown
    return Answer(data, answer.status, headers={"Link": links} if links else {})
