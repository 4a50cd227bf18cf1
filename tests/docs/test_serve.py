"""The page on this machine: what `make serve` answers, and that `make site` builds what the page is built on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A repository with a page."""
    (tmp_path / "site").mkdir()
    shutil.copy(ROOT / "site" / "serve.py", tmp_path / "site")
    (tmp_path / "docs" / "app").mkdir(parents=True)
    (tmp_path / "docs" / "index.html").write_text("the page")
    (tmp_path / "docs" / "app" / "main.js").write_text("go()")
    (tmp_path / "specs" / "history" / "language").mkdir(parents=True)
    (tmp_path / "specs" / "history" / "language" / "spec.yaml").write_text("a: 1")
    (tmp_path / "docs" / "history").symlink_to("../specs/history")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "docs" / "way-out").symlink_to("../secret")
    return tmp_path


def started(place: Path, port: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, str(place / "site" / "serve.py"), "--port", str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def server(place: Path) -> Iterator[HTTPConnection]:
    """A connection to the server, when it has said where it is."""
    with started(place) as process:
        assert process.stdout
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())
        assert found
        yield HTTPConnection("127.0.0.1", int(found[1]), timeout=10)
        process.terminate()


def ask(server: HTTPConnection, path: str, method: str = "GET") -> tuple[int, str, str, str]:
    server.request(method, path)
    answer = server.getresponse()
    text = answer.read().decode()
    return answer.status, answer.headers["Content-Type"] or "", answer.headers["Cache-Control"] or "", text


def test_the_page_is_served_and_never_cached(server: HTTPConnection) -> None:
    assert ask(server, "/") == (200, "text/html", "no-cache", "the page")
    assert ask(server, "/index.html?a=b")[3] == "the page"
    assert ask(server, "/app/main.js") == (200, "text/javascript", "no-cache", "go()")
    assert ask(server, "/history/language/spec.yaml")[3] == "a: 1"
    assert ask(server, "/", "HEAD") == (200, "text/html", "no-cache", "")


@pytest.mark.parametrize(
    "path",
    [
        "/../secret",
        "/%2e%2e/secret",
        "//../secret",
        "/app/../../secret",
        "/history/../../secret",
        "/way-out",
        "/app/",
        "/none",
    ],
)
def test_nothing_else_is_served(server: HTTPConnection, path: str) -> None:
    status, _, caching, text = ask(server, path)
    assert (status, caching) == (404, "no-cache")
    assert "go()" not in text
    assert text != "secret"


def test_what_is_training_is_told(server: HTTPConnection, place: Path) -> None:
    assert ask(server, "/progress.json") == (200, "application/json", "no-cache", "{}")
    (place / ".aams").mkdir()
    progress = place / ".aams" / "progress.json"
    progress.write_text('{"runs": 2}')
    assert ask(server, "/progress.json?at=1")[3] == '{"runs": 2}'
    os.utime(progress, (0, 0))  # its training was killed long ago
    assert ask(server, "/progress.json")[3] == "{}"


def test_the_page_shows_what_is_training_until_it_ends(place: Path, site: Any, browser: Any) -> None:
    shutil.rmtree(place / "docs")
    shutil.copytree(site.folder, place / "docs")
    (place / ".aams").mkdir()
    progress = place / ".aams" / "progress.json"
    told = {"title": "training the trials", "runs": 4, "finished": 1, "steps": 80, "done_steps": 60, "started": ""}
    progress.write_text(json.dumps(told))
    with started(place) as process, closing(browser.new_page()) as page:
        assert process.stdout
        page.goto(process.stdout.readline().split()[4])
        bar = page.get_by_text("training the trials: 1 of 4 runs, 75 %")
        bar.wait_for(timeout=10_000)
        progress.unlink()
        bar.wait_for(state="detached", timeout=10_000)
        process.terminate()


def test_a_port_that_is_taken_is_one_sentence(server: HTTPConnection, place: Path) -> None:
    with started(place, server.port) as second:
        out, err = second.communicate(timeout=20)
    assert (second.returncode, out) == (1, "")
    port = server.port
    assert err == f"error: port {port} is taken; choose another one, such as make serve PORT={port + 1}\n"


BUILDER = ROOT / "site" / "node_modules"


@pytest.mark.skipif(
    not shutil.which("node") or not BUILDER.is_dir(), reason="`make check` installs with npm what the page is built on"
)
def test_what_the_page_is_built_on_is_what_its_sources_build(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "node_modules").symlink_to(BUILDER)
    for name in ("package.json", "vendor.js"):
        shutil.copy(ROOT / "site" / name, tmp_path / "site")
    command = ["npm", "run", "--prefix", str(tmp_path / "site"), "--offline", "build"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert (tmp_path / "docs" / "vendor.js").read_bytes() == (ROOT / "docs" / "vendor.js").read_bytes()


def test_what_builds_it_is_what_the_lock_names() -> None:
    named = json.loads((ROOT / "site" / "package.json").read_bytes())
    locked = json.loads((ROOT / "site" / "package-lock.json").read_bytes())["packages"]
    for name, version in {**named["dependencies"], **named["devDependencies"]}.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    assert all(one["integrity"].startswith("sha512-") for name, one in locked.items() if name)
