"""The page, in a real browser: it shows the sample until there is history, and never takes text for markup."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from aams import views
from aams.strict import read_json

DOCS = Path(__file__).parents[2] / "docs"
CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=5000",
    "--dump-dom",
)
HOSTILE = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def shown(tmp_path):
    """Gives a function: serve a copy of the page with these metrics and give what the browser made of it."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    site = tmp_path / "site"
    shutil.copytree(DOCS, site)
    (site / "metrics.json").write_bytes(views.compile_views(())[views.METRICS])  # this checkout may have a history

    def show(metrics=None):
        if metrics is not None:
            (site / "metrics.json").write_text(json.dumps(metrics))
        handler = functools.partial(Quiet, directory=str(site))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_address[1]}/index.html"
            command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address]
            answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
            server.shutdown()
        return answer.stdout

    return show


def sample():
    return read_json((DOCS / "metrics.sample.json").read_bytes(), "metrics.sample.json")


def test_the_committed_sample_is_the_view_of_a_campaign_in_all_three_domains():
    data = sample()
    assert set(data["champions"]) == {"language", "vision", "hybrid"}
    assert {data["rows"][cycle]["outcome"] for cycle in data["newest"]} >= {"accepted", "rejected", "screened-out"}
    assert len((DOCS / "metrics.sample.json").read_bytes()) < 150_000
    shards = [read_json((DOCS / name).read_bytes(), name) for name in data["shards"]]
    assert [row["cycle"] for shard in shards for row in shard][::-1] == data["newest"]


def test_without_history_the_page_shows_the_sample_and_says_so(shown):
    page = shown()
    assert "Sample: this lab has not run a cycle yet" in page
    for domain, champion in sample()["champions"].items():
        assert f"{domain} · {champion['generation']}" in page


def test_text_from_the_ledger_is_never_markup(shown):
    data = sample()
    for row in data["rows"].values():
        row["reason"] = HOSTILE
    page = shown(data)
    assert "Sample" not in page.split("<main>")[0].split('id="banner"')[1].split("</p>")[0]
    assert "owned</title>" not in page
    assert "<img" not in page
    assert "&lt;img src=x" in page
