"""HTTP on 127.0.0.1: who asks, what is asked, how the answer is sent; with faults, rate limits and a log of requests.

It never looks up a name and never listens anywhere else.
https://docs.github.com/en/rest/authentication/authenticating-to-the-rest-api
https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import traceback
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from wsgiref.handlers import format_date_time

from . import (
    apps,
    checks,
    git_data,
    git_http,
    issues,
    options,
    pulls,
    releases,
    repositories,
    reviews,
    settings,
    workflow_runs,
)
from .faults import Fault, Faults
from .records import ANONYMOUS, Identity
from .routing import Answer, RefusalError, Request, serve
from .site import Site

ROUTES = (
    *apps.ROUTES,
    *checks.ROUTES,
    *repositories.ROUTES,
    *git_data.ROUTES,
    *pulls.ROUTES,
    *reviews.ROUTES,
    *issues.ROUTES,
    *releases.ROUTES,
    *settings.ROUTES,
    *options.ROUTES,
    *workflow_runs.ROUTES,
)
LIMIT = 5000


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was answered, or was not: status None."""

    method: str
    path: str
    status: int | None
    login: str


class Server(ThreadingHTTPServer):
    """The listening socket and what all connections share."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: Site) -> None:
        self.site = site
        self.faults = Faults()
        self.requests: list[Exchange] = []
        self.spent: Counter[str] = Counter()
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)
        site.url = f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse lookup of the address."""
        socketserver.TCPServer.server_bind(self)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Silence: `Server.requests` is the log."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, by the site's clock."""
        return format_date_time(self.server.site.clock().timestamp())

    def do_GET(self) -> None:
        """Answer any method."""
        content = self._read_content()
        path = unquote(urlsplit(self.path).path)
        fault = self.server.faults.take(self.command, path)
        login = ""
        if fault and not fault.carried_out:
            answer = self._faulty(fault)
        else:
            identity, answer = self._answer(path, content)
            login = identity.login
            answer = self._faulty(fault) if fault else answer
        status = answer.status if answer else None
        self.server.requests.append(Exchange(self.command, self.path, status, login))
        if answer is None:
            self.server.stopping.wait()
            self.close_connection = True
            return
        self._send(answer, login)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def _answer(self, path: str, content: bytes) -> tuple[Identity, Answer]:
        site, url = self.server.site, urlsplit(self.path)._replace(path=path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        identity = ANONYMOUS
        try:
            identity = self._identity()
            answer = git_http.answer(site, identity, self.command, url, headers, content)
            if answer is None:
                query = dict(parse_qsl(url.query))
                request = Request(site, identity, self.command, path, {}, query, headers, content)
                with site.lock:
                    answer = serve(ROUTES, request)
        except RefusalError as refusal:
            answer = Answer(refusal.body, refusal.status)
        except Exception:
            answer = Answer({"message": traceback.format_exc()}, 500)
        return identity, answer

    def _identity(self) -> Identity:
        """Who a token stands for; anybody without one. Raises: RefusalError for a token that nobody has."""
        kind, _, token = (self.headers.get("Authorization") or "").partition(" ")
        if not kind:
            return ANONYMOUS
        if kind.lower() == "basic":
            user, _, password = base64.b64decode(token).decode().partition(":")
            token = password or user
        identity = self.server.site.tokens.get(token) or apps.identify(self.server.site, token)
        if identity is None:
            raise RefusalError(401, "Bad credentials")
        return identity

    def _read_content(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _faulty(self, fault: Fault) -> Answer | None:
        if fault.status == "timeout":
            return None
        headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
        return Answer({"message": "This failure was asked for"}, fault.status, headers=headers)

    def _send(self, answer: Answer, login: str) -> None:
        raw = answer.data if isinstance(answer.data, bytes) else b""
        if answer.data is not None and not isinstance(answer.data, bytes):
            raw = json.dumps(answer.data).encode()
        self.server.spent[login] += 1
        spent = self.server.spent[login]
        hour = int(self.server.site.clock().timestamp()) // 3600
        headers = {
            "Content-Type": answer.content_type or "application/json; charset=utf-8",
            "Content-Length": str(len(raw)),
            "X-RateLimit-Limit": str(LIMIT),
            "X-RateLimit-Remaining": str(max(LIMIT - spent, 0)),
            "X-RateLimit-Used": str(spent),
            "X-RateLimit-Reset": str((hour + 1) * 3600),
            "X-RateLimit-Resource": "core",
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)
