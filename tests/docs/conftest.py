"""A history told in facts, the page that is compiled from it, and a reader with a browser who notices everything."""

from __future__ import annotations

import http.server
import json
import re
import runpy
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import to_data
from aams.records import Cost, Criterion, Look, Mutation
from aams.views import compile_views
from compiler import spec as specs
from compiler.identity import full
from domains import active_interface
from safety.events import (
    Closed,
    Facts,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    RunSummary,
    Screened,
    Trained,
    TrialScore,
    Verdict,
)
from safety.ledger import Recorded

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"
CHROMIUM = shutil.which("chromium")
PARTS = ("app", "contract.json", "index.html", "page.css", "vendor.js")
TRAPS = """
addEventListener("securitypolicyviolation", (event) => console.error("CSP", event.violatedDirective, event.blockedURI));
for (const name of ["alert", "confirm", "prompt", "print"]) window[name] = () => console.error("called", name);
"""


class Story:
    """What happened in a small lab: every kind of cycle in language, and in vision no more than a root.

    `language-1` is the root, `-2` was accepted as G001, `-3` screened out, `-4` rejected as G002, `-5` a placebo, `-6`
    found nothing to try, `-7` went back to the root, and `-8` is the champion: G004, with two bundles of pairs.
    """

    CHAMPION = Look(4, 1, 0.004, 4321.0, 8, "proven", 0.0314, 0.0123, 0.0512)
    CRITERIA = (Criterion("evidence", 4321.0, ">=", 250.0, True), Criterion("recall", 0.8125, ">=", 0.75, True))

    def __init__(self) -> None:
        self.tell = runpy.run_path(str(TESTS / "aams" / "conftest.py"))["Tell"]()
        self.baseline = {
            name: (TESTS.parent / "domains" / name / "baseline.yaml").read_text() for name in ("language", "vision")
        }

    def child(self, width: int, words: Mapping[str, Any] | None = None) -> ProposedChild:
        """A wider baseline."""
        text = self.baseline["language"].replace("width: 48", f"width: {width}")
        spec = specs.parse(text.encode(), "spec.yaml")
        mutation = Mutation("widen", "model.width", 48, width, f"Room for {width} features", 0.02)
        cost = Cost(*(width * each for each in (1000, 2000, 6000, 32, 64, 8, 64, 16)))
        return ProposedChild(spec.id, text, spec.tree, (mutation,), f"Widen to {width}", 0.02, cost)

    def cycles(self, told: Sequence[Sequence[Facts]], children: Sequence[ProposedChild]) -> list[list[Facts]]:
        """Cycles with all of these children, and with trainings that have curves."""
        return [[self._filled(facts, children, number) for facts in events] for number, events in enumerate(told)]

    def _filled(self, facts: Facts, children: Sequence[ProposedChild], seed: int) -> Facts:
        match facts:
            case Opened():
                return replace(facts, seed=seed)
            case Proposed():
                return Proposed(tuple(children), ())
            case Screened():
                scores = tuple(TrialScore(one.spec, 0.53 - 0.01 * at) for at, one in enumerate(children))
                return replace(facts, scores=scores)
            case Trained():
                own = [""] if facts.stage == "attempt" else [one.spec for one in children]
                runs = [("child", spec, 0.2) for spec in own] + [("control", "9" * 64, 0.0)]
                return replace(facts, runs=tuple(self._run(at, *run) for at, run in enumerate(runs)))
        return facts

    def _run(self, number: int, arm: Any, spec: str, less: float) -> RunSummary:
        if not spec:  # the sealed child
            unknown: Any = [None] * 5
            return RunSummary(f"{arm}-{number}", arm, 0, "", "finished", "", *unknown, 0, None, None, ())
        curve = tuple((float(step), 5.0 - less - step / 20) for step in range(5, 45, 5))
        return RunSummary(
            f"{arm}-{number}", arm, 0, spec, "finished", "", 40, 640, 0.5, 2.5, 3.0, 0, 1.5 + number, 90_000, curve
        )

    def told(self) -> list[list[Facts]]:
        """The cycles of language, as they are told before they are filled."""
        tell, best = self.tell, self.child(72).spec
        last = tell.whole_cycle("G004", 0.6135, parent="G000", child=best, batches=2, reason="it is better")
        champion = [self._won(facts) for facts in last]
        return [
            tell.root(specs.parse(self.baseline["language"].encode(), "spec.yaml").id),
            tell.whole_cycle("G001", 0.6, child=best),
            [
                *tell.searched("G001", best)[:-1],
                Screened(0.5, (), 0.05, best, False),
                Closed("screened-out", "too low"),
            ],
            tell.whole_cycle("G002", 0.58, "rejected", "recall fell below its floor", "G001", child=best),
            tell.whole_cycle("G003", 0.58, "placebo", "no gain", "G001", child=best),
            tell.nothing_tried(5, "G001"),
            tell.recall("G000", "G001"),
            champion,
        ]

    def _won(self, facts: Facts) -> Facts:
        match facts:
            case Looked() if facts.batch == 1:
                return replace(facts, look=self.CHAMPION)
            case Verdict():
                return replace(facts, look=self.CHAMPION, criteria=self.CRITERIA)
        return facts

    def ledger(self, told: Sequence[Sequence[Facts]], children: Sequence[ProposedChild]) -> list[Recorded]:
        """A ledger of these cycles, `language-1` and so on, with one of vision's after it."""
        named = [(f"language-{at}", one) for at, one in enumerate(self.cycles(told, children), 1)]
        vision = self.tell.root(specs.parse(self.baseline["vision"].encode(), "spec.yaml").id)
        return [*self.tell.recorded(named), *self.tell.recorded([("vision-1", vision)], "vision")]

    def whole(self) -> list[Recorded]:
        """All of it."""
        return self.ledger(self.told(), [self.child(width) for width in (72, 96, 120)])


class Site:
    """One copy of the page in a folder, and its address."""

    def __init__(self, folder: Path, address: str, story: Story) -> None:
        self.folder, self.address, self.story = folder, address, story
        folder.mkdir()
        for name in PARTS:
            (folder / name).symlink_to(DOCS / name)

    def publish(self, ledger: Sequence[Recorded], sample: bool = False) -> Site:
        """Compile the page's data, or what is shown while there is none; and lay generations' artifacts beside them."""
        for path, content in compile_views(ledger).items():
            name = path.removeprefix("docs/")
            if not path.startswith("docs/") or (sample and name == "feed.xml"):
                continue
            if sample:
                name = "metrics.sample.json" if name == "metrics.json" else name.replace("data/", "sample/")
                content = content.replace(b'"data/', b'"sample/')
            (self.folder / name).parent.mkdir(exist_ok=True)
            (self.folder / name).write_bytes(content)
        for row in map(json.loads, compile_views(ledger)["logs/experiments.jsonl"].splitlines()):
            if row.get("directory"):
                place = self.folder / ("sample/history" if sample else "history") / row["domain"] / row["directory"]
                place.mkdir(parents=True)
                self._archive(place, row)
        return self

    def _archive(self, place: Path, row: Mapping[str, Any]) -> None:
        best = next((one for one in row["children"] if one["spec"] == row["best"]), None)
        text = best["text"] if best else self.story.baseline[row["domain"]]
        model = best["tree"]["model"] if best else full(specs.parse(text.encode(), "spec.yaml").tree)["model"]
        config = {"interface": to_data(active_interface(row["domain"])), "model": model, "spec": row["best"]}
        (place / "spec.yaml").write_text(text)
        (place / "config.json").write_text(json.dumps(config))
        (place / "metrics.json").write_text(json.dumps({"cost": best["cost"] if best else to_data(Cost(*[1000] * 8))}))
        for name in ("EVAL.md", "MODEL_CARD.md", "model.py", "manifest.json", "hashes.csv"):
            (place / name).write_text(f"{name}\n")


class Reader:
    """Somebody who reads the page with a browser of their own; `wrong` is all that went wrong meanwhile."""

    def __init__(self, context: Any, site: Site) -> None:
        self.context, self.site, self.wrong = context, site, list[str]()
        context.add_init_script(TRAPS)
        self.page = context.new_page()
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(error.stack or str(error)))
        self.page.on("requestfailed", lambda asked: self.wrong.append(f"failed: {asked.url}"))
        self.page.on("response", lambda got: got.status >= 400 and self.wrong.append(f"{got.status}: {got.url}"))
        self.page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.site.address, "data:", f"blob:{self.site.address}")):
            self.wrong.append(f"asked for {request.url}")

    def go(self, view: str = "home") -> None:
        """Open a view and wait until it is there."""
        self.page.goto(f"{self.site.address}index.html#/{view}")
        self.settle()

    def settle(self) -> None:
        """Wait until the view has read what it shows."""
        self.page.evaluate("new Promise((done) => setTimeout(done))")  # the page hears of its new address first
        self.page.locator("main h1").wait_for(state="attached")
        self.page.locator("main > :nth-child(2), main .notice").first.wait_for(state="attached")
        self.page.locator("p.state").first.wait_for(state="detached")
        self.page.locator("main [aria-busy=true]").first.wait_for(state="detached")

    def choose(self, title: str, value: str) -> None:
        """Choose one of a list of choices, by the list's title."""
        self.choice(title).select_option(value)
        self.page.wait_for_timeout(200)  # what was there stays until what was chosen is worked out
        self.settle()

    def choice(self, title: str) -> Any:
        """A list of choices, by its title."""
        own = self.page.locator("span", has_text=re.compile(f"^{re.escape(title)}$"))
        return self.page.locator("label.choice").filter(has=own).locator("select").first

    @property
    def text(self) -> str:
        """What the view says."""
        return " ".join(self.page.locator("main").inner_text().split())

    def overflow(self) -> int:
        """By how many pixels the document is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the sites; nothing trains here."""

    def do_GET(self) -> None:
        if self.path.endswith("/progress.json"):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def story() -> Story:
    """What happened in a small lab."""
    return Story()


@pytest.fixture(scope="session")
def new_site(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Site]]:
    """Gives a function that makes an empty copy of the page, which is served from this machine."""
    place = tmp_path_factory.mktemp("sites")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(place))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def make() -> Site:
            name = f"site-{len(list(place.iterdir()))}"
            return Site(place / name, f"http://127.0.0.1:{server.server_address[1]}/{name}/", story)

        yield make
        server.shutdown()


@pytest.fixture(scope="session")
def site(new_site: Callable[[], Site], story: Story) -> Site:
    """The page of the whole story."""
    return new_site().publish(story.whole())


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One headless Chromium for all tests of this process."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def reader_of(browser: Any) -> Iterator[Callable[..., Reader]]:
    """Gives a function: a new reader of a site."""
    contexts = []

    def read(site: Site, **options: Any) -> Reader:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(10_000)
        return Reader(contexts[-1], site)

    yield read
    for context in contexts:
        context.close()


@pytest.fixture
def reader(reader_of: Callable[..., Reader], site: Site) -> Reader:
    """A reader of the whole story."""
    return reader_of(site)
