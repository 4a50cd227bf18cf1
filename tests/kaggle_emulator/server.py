"""HTTP on 127.0.0.1: calls, uploads, downloads and the stream of logs; with faults and a log of requests.

The client speaks to http://localhost under KAGGLE_API_ENVIRONMENT=LOCALHOST, on port 80 alone; `http_proxy` brings its
requests here, in the form in which a proxy gets them (`kagglesdk/kaggle_env.py`, `KaggleApi.args`). None is passed on.
"""

from __future__ import annotations

import base64
import json
import socketserver
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from . import books, datasets, kernels
from .faults import Fault, Faults
from .records import WAITING, Json
from .site import Call, Handler, RefusalError, Site

CALLS: Mapping[str, Handler] = {**datasets.CALLS, **kernels.CALLS}
PREFIX = "/api/v1/"
STREAM = f"{PREFIX}kernels/logs/stream/"
INTROSPECT = "security.OAuthService/IntrospectToken"
Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request that was answered, or was not: status None. A call's path is its service and method."""

    method: str
    path: str
    status: int | None
    user: str
    agent: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    content: bytes
    status: int = 200
    content_type: str = "application/json"


class Server(ThreadingHTTPServer):
    """The listening socket and what all connections share."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, site: Site) -> None:
        self.site = site
        self.faults = Faults()
        self.requests: list[Exchange] = []
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", urlsplit(site.url).port or 0), KaggleHandler)
        site.url = f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without HTTPServer's reverse lookup of the address."""
        socketserver.TCPServer.server_bind(self)


class KaggleHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: object) -> None:
        """Silence: `Server.requests` is the log."""

    def do_GET(self) -> None:
        """Answer any method."""
        content = self._read_content()
        path = unquote(urlsplit(self.path).path)
        fault = self.server.faults.take(path)
        user = ""
        if fault and fault.status != "cut" and not fault.carried_out:
            answer = Answer(b"")
        else:
            user, answer = self._answer(path, content)
        answer = _faulty(fault, answer) if fault else answer
        silent = fault is not None and fault.status in ("silent", "hung up")
        status = None if silent else answer.status
        agent = self.headers.get("User-Agent", "")
        self.server.requests.append(Exchange(self.command, path.removeprefix(PREFIX), status, user, agent))
        if silent:
            if fault and fault.status == "silent":
                self.server.stopping.wait()
            self.close_connection = True
        elif path.startswith(STREAM) and answer.content_type == "text/event-stream":
            self._stream(answer.content.decode())
        else:
            self._send(answer, fault)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def _answer(self, path: str, content: bytes) -> tuple[str, Answer]:
        site, user = self.server.site, ""
        try:
            if self.command == "PUT" and path.startswith("/upload/"):
                asked = self.headers.get("Content-Range") or ""
                with site.lock:
                    status, body = datasets.receive(site, path.removeprefix("/upload/"), content, asked)
                return "", Answer(json.dumps(body).encode(), status)
            if self.command == "GET" and path.startswith("/files/"):
                with site.lock:
                    place = kernels.output_file(site, path.removeprefix("/files/"))
                if place is None:
                    raise RefusalError(404, "Not found")
                return "", Answer(place.read_bytes(), 200, "application/octet-stream")
            name = path.removeprefix(PREFIX)
            if name == INTROSPECT:
                return "", Answer(json.dumps(_introspect(site, json.loads(content))).encode())
            user = self._user()
            with site.lock:
                if path.startswith(STREAM):
                    return user, _log(Call(site, user, _named(path)))
                if self.command != "POST" or name not in CALLS:
                    raise RefusalError(404, f"This emulator has no {name}")
                told = CALLS[name](Call(site, user, json.loads(content or b"{}")))
                books.write(site)
                return user, Answer(json.dumps(told).encode())
        except RefusalError as refusal:
            return user, Answer(json.dumps(refusal.body).encode(), refusal.status)
        except Exception:
            body = {"code": 500, "message": traceback.format_exc()}
            return user, Answer(json.dumps(body).encode(), 500)

    def _user(self) -> str:
        """Who asks: a user's name and key, or a token. Raises: RefusalError for anybody else."""
        kind, _, credential = (self.headers.get("Authorization") or "").partition(" ")
        site = self.server.site
        if kind == "Bearer" and credential in site.tokens:
            return site.tokens[credential]
        if kind == "Basic":
            user, _, key = base64.b64decode(credential).decode().partition(":")
            if key and site.keys.get(user) == key:
                return user
        raise RefusalError(401, "Unauthenticated")

    def _read_content(self) -> bytes:
        if "chunked" not in (self.headers.get("Transfer-Encoding") or ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, answer: Answer, fault: Fault | None) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.content)))
        if fault and fault.retry_after_s is not None:
            self.send_header("Retry-After", str(fault.retry_after_s))
        self.end_headers()
        is_cut = fault is not None and fault.status == "cut"
        self.wfile.write(answer.content[: len(answer.content) // 2] if is_cut else answer.content)
        self.close_connection = self.close_connection or is_cut

    def _stream(self, number: str) -> None:
        """Server-sent events of a session that goes on, up to END_OF_LOG: `kernels_logs_stream` of the client."""
        site = self.server.site
        sessions = [each for kernel in site.kernels.values() for each in kernel.sessions]
        session = next(each for each in sessions if str(each.id) == number)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        sent = 0
        while not self.server.stopping.is_set():
            is_over = session.status not in WAITING
            new = session.log[sent:]
            sent += len(new)
            events = [json.dumps(entry) for entry in new] + ["END_OF_LOG"] * is_over
            content = "".join(f"data: {event}\n\n" for event in events).encode()
            if content:
                self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
            if is_over:
                self.wfile.write(b"0\r\n\r\n")
                return
            self.wfile.flush()
            time.sleep(0.05)


def _faulty(fault: Fault, answer: Answer) -> Answer:
    if isinstance(fault.status, str):
        return answer
    return Answer(json.dumps({"code": fault.status, "message": "This failure was asked for"}).encode(), fault.status)


def _introspect(site: Site, body: Json) -> Json:
    """Whose a token is: `kagglesdk/security/types/oauth_service.py`."""
    user = site.tokens.get(body.get("token", ""), "")
    return {"active": bool(user), "username": user, "clientId": "kaggle", "scope": ""}


def _named(path: str) -> Json:
    owner, _, slug = path.removeprefix(STREAM).partition("/")
    return {"userName": owner, "kernelSlug": slug}


def _log(call: Call) -> Answer:
    """The whole log of a session that is over; of one that goes on, its id, for the stream."""
    _, session = kernels.find(call)
    if session.status in WAITING:
        return Answer(str(session.id).encode(), 200, "text/event-stream")
    return Answer(json.dumps(session.log).encode())
