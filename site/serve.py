"""The page on this machine, with what is training now: `python3 site/serve.py [--port N]`, or `make serve`.

Serves docs/ to this machine only and caches nothing. `/progress.json` is what a running training says of itself, and an
empty object when none does. Needs nothing but Python, so that the page can be seen before anything is installed.
"""

from __future__ import annotations

import argparse
import errno
import functools
import http.server
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SERVED = (DOCS, ROOT / "specs" / "history")
"""What may be read; docs/history is a link to the second."""
PROGRESS = ROOT / ".aams" / "progress.json"
STALE_S = 900
"""A killed training leaves its file; after so long without news it counts as ended."""
JSON = "application/json"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with files of the page."""

    extensions_map = {  # noqa: RUF012 (as the base class has it)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".json": JSON,
        ".xml": "application/xml",
    }

    def do_GET(self) -> None:
        """Answer with a file, or with what is training."""
        if urlsplit(self.path).path != "/progress.json":
            super().do_GET()
            return
        content = progress()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_head(self) -> BinaryIO | None:  # type: ignore[override]
        """Open what was asked for, when it is a file of the page."""
        path = Path(self.translate_path(self.path)).resolve()
        found = path / "index.html" if path == DOCS else path
        if not found.is_file() or not any(found.is_relative_to(folder) for folder in SERVED):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()  # type: ignore[return-value]

    def end_headers(self) -> None:
        """Have the browser ask again every time."""
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of what is asked."""


def progress() -> bytes:
    """What is training now, as JSON."""
    try:
        fresh = time.time() - PROGRESS.stat().st_mtime < STALE_S
        return PROGRESS.read_bytes() if fresh else b"{}"
    except OSError:
        return b"{}"


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the page to this machine, with what is training now.")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="(default: 8000)")
    port = parser.parse_args().port
    try:
        handler = functools.partial(Handler, directory=str(DOCS))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken" if taken else f"can't be served on: {error}"
        sys.exit(f"error: port {port} {why}; choose another one, such as make serve PORT={port + 1}")
    with server:
        print(f"The page is at http://127.0.0.1:{server.server_address[1]}/ until Ctrl-C.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
