"""Does the page stay quick as a history grows? Time to its views at 1,000 to 100,000 experiments, against a peer.

    python benchmarks/dashboard.py [--experiments N ...] [--rounds N] [--peer PYTHON] [--no-peer] [--json]

An experiment is one child: four a cycle, every tenth cycle an attempt, some promoted; `made/page_data.py` makes them.
The page is served with gzip, as GitHub Pages does, and read by headless Chromium with an empty cache: a time is from
the navigation to the second frame after the view's content is there. The peer is optuna-dashboard, with the same
children as trials of one study in a journal file, each with its validation score and its spec's fields. It is installed
in a folder of its own, unless --peer names a Python that has it, and takes turns with the page. Ratios are to its
quicker page.
"""

from __future__ import annotations

import argparse
import functools
import gzip
import http.server
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SIZES = (1_000, 10_000, 100_000)
TARGET_SIZE = SIZES[-1]
SUMMARY_S, VIEW_S, BYTES, BLOCK_MS = 1.5, 3.0, 5_000_000, 200.0
SHOWN = {
    "home": "main .card .big",
    "lineage": "main canvas, main figure svg",
    "fitness": "main canvas, main figure svg",
    "pareto": "main canvas, main figure svg",
    "fields": "main canvas, main figure svg",
}
"""What of a view must be there, by its name."""
PEER = ("optuna-dashboard==0.21.0", "optuna==5.0.0")
PEER_SHOWN = {"plot": ("", ".js-plotly-plot .scatterlayer .points path"), "list": ("/trials", ".MuiChip-root")}
LIMIT_S = 60
WATCH = """
  window.seen = null; window.longest = 0;
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.longest = Math.max(window.longest, one.duration);
  }).observe({ type: "longtask", buffered: true });
  const look = () => {
    if (document.querySelector(SELECTOR) && !document.querySelector("main p.state"))
      requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = performance.now(); }));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
"""
MADE = Path(__file__).parent / "made"


@dataclass(frozen=True, slots=True)
class Line:
    """One page at one size: medians over rounds, but the longest block, which is the worst of them.

    Attributes:
        seconds: None when nothing was shown within the limit.
        transferred: bytes as they came over the wire.
        longest_ms: the longest that the main thread could not answer.
    """

    side: str
    experiments: int
    page: str
    seconds: float | None
    transferred: int
    longest_ms: float


TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}


class Zipped(http.server.BaseHTTPRequestHandler):
    """Answers with what was compressed beforehand."""

    protocol_version = "HTTP/1.1"

    def __init__(self, files: Mapping[str, bytes], *rest: Any) -> None:
        self.files = files
        super().__init__(*rest)

    def do_GET(self) -> None:
        """Answer with a file of the page."""
        name = self.path.split("?")[0].strip("/") or "index.html"
        content = self.files.get(name)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        if content is not None:
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", TYPES.get(Path(name).suffix, "text/plain"))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The page with this folder's data, from memory; gives its address."""
    docs = ROOT / "docs"
    parts = [docs / "index.html", docs / "page.css", docs / "vendor.js", docs / "contract.json"]
    files = {str(path.relative_to(docs)): path.read_bytes() for path in (*parts, *docs.glob("app/**/*.js"))}
    files |= {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.json")}
    files["progress.json"] = b"{}"
    zipped = {name: gzip.compress(content, 6) for name, content in files.items()}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Zipped, zipped)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def visit(browser: Any, address: str, selector: str) -> tuple[float | None, int, float]:
    """Read one page with an empty cache: seconds until it is there, bytes, and the longest block in milliseconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(f"const SELECTOR = {json.dumps(selector)};" + WATCH)
    page = context.new_page()
    transferred = [0]
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda one: transferred.append(int(one["encodedDataLength"])))
    try:
        page.goto(address, wait_until="commit", timeout=LIMIT_S * 1000)
        limit, seen = time.monotonic() + LIMIT_S, None
        while seen is None and time.monotonic() < limit:
            page.wait_for_timeout(100)
            seen = page.evaluate("window.seen")
        page.wait_for_timeout(500)  # what comes late may block, too
        return (seen / 1000 if seen else None), sum(transferred), float(page.evaluate("window.longest"))
    except Exception as error:
        if type(error).__name__ != "TimeoutError":
            raise
        return None, sum(transferred), 0.0
    finally:
        context.close()


Visit = Callable[[], tuple[float | None, int, float]]


def take_turns(visits: Mapping[tuple[str, str], Visit], count: int, rounds: int) -> list[Line]:
    """Every page once a round; one that did not come in time is not asked for again."""
    found: dict[tuple[str, str], list[tuple[float | None, int, float]]] = {key: [] for key in visits}
    for _ in range(rounds):
        for key, go in visits.items():
            if all(seconds is not None for seconds, _, _ in found[key]):
                found[key].append(go())
    return [_line(side, count, page, taken) for (side, page), taken in found.items()]


def _line(side: str, count: int, page: str, taken: Sequence[tuple[float | None, int, float]]) -> Line:
    seconds = [one for one, _, _ in taken if one is not None]
    median = statistics.median(seconds) if len(seconds) == len(taken) else None
    return Line(side, count, page, median, max(size for _, size, _ in taken), max(longest for *_, longest in taken))


@contextmanager
def peer_of(python: str, place: Path) -> Iterator[str]:
    """The peer with the same children; gives the address of its study."""
    trials, journal = place / "trials.json", place / "journal"
    subprocess.run([python, str(MADE / "optuna_study.py"), str(trials), str(journal)], check=True, timeout=600)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as free:
        port = free.server_address[1]
    run = "from optuna_dashboard._cli import main; main()"
    command = [python, "-c", run, "--quiet", "--port", str(port), "--storage-class", "JournalFileStorage"]
    server = subprocess.Popen([*command, str(journal)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(10 * LIMIT_S):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/dashboard", timeout=LIMIT_S).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/dashboard/studies/0"
    finally:
        server.kill()
        server.wait()


def installed(place: Path) -> str:
    """A Python with the peer in a folder of its own.

    Raises:
        CalledProcessError: there is no network, or what it needs can't be had.
    """
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER], check=True, capture_output=True)
    return python


def measure(browser: Any, count: int, rounds: int, python: str, place: Path) -> list[Line]:
    """Every view at one size, in turns with the peer's pages."""
    subprocess.run([sys.executable, str(MADE / "page_data.py"), str(count), str(place)], check=True)
    with served(place / "page") as address:
        visits: dict[tuple[str, str], Visit] = {
            ("page", view): functools.partial(visit, browser, f"{address}/#/{view}", selector)
            for view, selector in SHOWN.items()
        }
        if not python:
            return take_turns(visits, count, rounds)
        with peer_of(python, place) as study:
            visits |= {
                ("peer", page): functools.partial(visit, browser, study + path, selector)
                for page, (path, selector) in PEER_SHOWN.items()
            }
            return take_turns(visits, count, rounds)


def judge(line: Line) -> list[tuple[str, bool]]:
    """The targets that a line is held to, and whether it keeps them; they are for the largest history."""
    if line.side != "page" or line.experiments != TARGET_SIZE:
        return []
    limit = SUMMARY_S if line.page == "home" else VIEW_S
    return [
        (f"{limit:g} s", line.seconds is not None and line.seconds < limit),
        (f"{BYTES / 1e6:g} MB", line.transferred < BYTES),
        (f"{BLOCK_MS:g} ms", line.longest_ms <= BLOCK_MS),
    ]


def table(lines: Sequence[Line], why: str) -> str:
    """The result for a person."""
    text = [f"{'experiments':>11}  {'page':<26}{'seconds':>8}{'MB':>8}{'block, ms':>11}  {'of the peer':<13}targets"]
    for line in lines:
        name = line.page if line.side == "page" else f"{PEER[0].split('==')[0]}: {line.page}"
        peers = [one.seconds for one in lines if one.side == "peer" and one.experiments == line.experiments]
        best = min((one for one in peers if one is not None), default=None)
        ratio = ""
        if line.side == "page" and line.seconds and peers:
            ratio = f"{line.seconds / best:.2f}x" if best else f"< {line.seconds / LIMIT_S:.2f}x"
        verdicts = ", ".join(f"{target} {'met' if holds else 'missed'}" for target, holds in judge(line))
        seconds = f"{line.seconds:.2f}" if line.seconds is not None else f"> {LIMIT_S}"
        text.append(
            f"{line.experiments:>11,}  {name:<34.34}"[:39]
            + f"{seconds:>8}{line.transferred / 1e6:>8.2f}{line.longest_ms:>11.0f}  {ratio:<13}{verdicts}".rstrip()
        )
    return "\n".join([*text, why] if why else text)


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Time to the page's views as a history grows, against a peer.")
    parser.add_argument("--experiments", type=int, nargs="+", default=SIZES, metavar="N", help=f"(default: {SIZES})")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="visits of every page (default: 3)")
    parser.add_argument("--peer", default="", metavar="PYTHON", help=f"one that has {PEER[0]} (default: a new one)")
    parser.add_argument("--no-peer", action="store_true", help="measure the page alone")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None or find_spec("playwright") is None:
        skipped = "needs chromium and the package playwright (requirements/dev.lock)"
        print(json.dumps({"benchmark": "dashboard", "skipped": skipped}) if args.json else skipped)
        return
    memory = "/dev/shm"  # noqa: S108 (the peer's study is written with a sync for every trial)
    with tempfile.TemporaryDirectory(dir=memory if Path(memory).is_dir() else None) as place:
        python, why = args.peer, ""
        if not python and not args.no_peer:
            try:
                python = installed(Path(place, "peer"))
            except subprocess.CalledProcessError as error:
                why = f"{PEER[0]} could not be installed, so that there is no ratio: {(error.stderr or b'')[-200:]!r}"
        with import_module("playwright.sync_api").sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            lines = []
            for count in args.experiments:
                folder = Path(place, str(count))
                folder.mkdir()
                lines += measure(browser, count, args.rounds, python, folder)
            browser.close()
    result = {"benchmark": "dashboard", "lines": [asdict(line) for line in lines], "why": why}
    print(json.dumps(result, indent=2) if args.json else table(lines, why))


if __name__ == "__main__":
    main()
