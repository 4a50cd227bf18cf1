"""Text from the ledger stays text; files that are broken or missing are told of, and the rest of the page works."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.records import Mutation
from safety.events import Approved, Closed, Proposed, Verdict

ORDERS = (
    "<img src=x onerror=\"document.title='owned'\">",
    "<script>document.title='owned'</script>",
    "</title></script><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egnp.exe \u2028\u0000\u001b[31m",
    '=HYPERLINK("http://evil.example")',
    "=cmd()|' /C calc'!A0",
    "{{constructor.constructor('alert(1)')()}}",
    "http://evil.example/pixel.png",
    "__proto__",
)
HOSTILE = " ".join(ORDERS) + "x" * 10_000
VIEWS = ("home", "lineage", "fitness", "pareto", "fields", "operators", "ledger", "compare?ids=language-2,language-3")


@pytest.fixture(scope="session")
def hostile_site(new_site: Callable[[], Any], story: Any) -> Any:
    """The page of a lab in which every word that can be a stranger's is."""

    def child(width: int) -> Any:
        plain = story.child(width)
        mutations = tuple(Mutation(order, order, order, order, HOSTILE, 0.02) for order in ORDERS)
        mutations += (Mutation(HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]}, HOSTILE, HOSTILE, 0.02),)
        model = {**plain.tree["model"], **{order: order for order in ORDERS}, "embed": {"op": HOSTILE}}
        blocks = [{"repeat": 1, "mixer": {"op": order, order: order}, "norm": {"op": HOSTILE}} for order in ORDERS]
        tree = {**plain.tree, "model": {**model, "blocks": blocks}}
        return replace(plain, text=plain.text + HOSTILE, tree=tree, mutations=mutations, rationale=HOSTILE)

    children = [child(width) for width in (72, 96)]

    def poisoned(facts: Any) -> Any:
        match facts:
            case Verdict():
                criteria = tuple(replace(one, name=HOSTILE) for one in facts.criteria)
                return replace(facts, reasons=(*ORDERS, HOSTILE), criteria=criteria)
            case Approved():
                signed = replace(facts.approver, principal=HOSTILE, fingerprint=HOSTILE)
                return replace(facts, approver=signed)
            case Closed():
                return replace(facts, reason=HOSTILE)
            case Proposed():
                return Proposed(tuple(children), ())
        return facts

    told = [[poisoned(facts) for facts in events] for events in story.told()]
    site = new_site().publish(story.ledger(told, children))
    for path in (site.folder / "history").rglob("EVAL.md"):
        path.write_text(HOSTILE)
    return site


@pytest.mark.parametrize("view", [*VIEWS, "experiment/language-8", "experiment/language-3"])
def test_hostile_words_are_shown_and_never_obeyed(reader_of: Any, hostile_site: Any, view: str) -> None:
    reader = reader_of(hostile_site, viewport={"width": 360, "height": 800})
    reader.go(view)
    page = reader.page
    for at in range(page.locator("main select").count()):
        options = page.locator("main select").nth(at).locator("option")
        page.locator("main select").nth(at).select_option(index=options.count() - 1)
    for button in page.locator("main button[aria-pressed]").all()[:4]:
        button.click()
    reader.settle()
    assert reader.wrong == []
    assert "AAMS" in page.title()
    assert "owned" not in page.title()
    assert page.locator("main img, main script, main iframe, main object, [onerror], [onload]").count() == 0
    hrefs = page.evaluate("[...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
    assert all(href.startswith(("#", "history/", "feed.xml")) for href in hrefs)
    assert reader.overflow() <= 0


def test_hostile_words_are_text_in_the_file_that_is_saved(reader_of: Any, hostile_site: Any, tmp_path: Path) -> None:
    reader = reader_of(hostile_site)
    reader.go("operators")
    with reader.page.expect_download() as waiting:
        reader.page.get_by_role("button", name="CSV").click()
    waiting.value.save_as(tmp_path / "saved.csv")
    saved = (tmp_path / "saved.csv").read_text()
    assert "\"'=HYPERLINK(" in saved or ",'=cmd()" in saved
    assert ",=cmd()" not in saved
    assert "\n=cmd()" not in saved


def test_hostile_words_in_the_address_are_only_words(reader: Any) -> None:
    for order in ORDERS[:4]:
        reader.page.goto("about:blank")
        reader.page.evaluate("0")
        reader.go(f"experiment/{order.replace('#', '')}?domain={order}&operator={order}&outcome={order}")
        reader.go(f"lineage?domain={order}&operator={order}&colour={order}&x={order}&y={order}")
        assert reader.page.locator("main img, main script").count() == 0
        assert "owned" not in reader.page.title().replace(order, "")


@pytest.fixture
def first_site(new_site: Callable[[], Any], story: Any) -> Any:
    """A page of its own, which a test may break."""
    return new_site().publish(story.whole())


def told(reader: Any) -> str:
    """What the page says is wrong."""
    return " ".join(" ".join(reader.page.locator("main .notice").all_inner_texts()).split())


@pytest.mark.parametrize("broken", ["cut", "gone"])
def test_a_shard_that_can_not_be_read_is_told_and_the_rest_works(reader_of: Any, first_site: Any, broken: str) -> None:
    spoil(first_site.folder / "data" / "experiments-0000.json", broken)
    reader = reader_of(first_site)
    reader.go("experiment/language-8")
    assert "data/experiments-0000.json" in told(reader)
    assert ("damaged" if broken == "cut" else "missing") in told(reader)
    for view in ("home", "lineage", "fitness", "ledger"):
        reader.go(view)
        assert told(reader) == ""


@pytest.mark.parametrize("broken", ["cut", "gone"])
@pytest.mark.parametrize("view", ["lineage", "fitness", "pareto", "fields"])
def test_columns_that_can_not_be_read_are_told(reader_of: Any, first_site: Any, view: str, broken: str) -> None:
    spoil(first_site.folder / "data" / "columns-0000.json", broken)
    reader = reader_of(first_site)
    reader.go(view)
    assert "data/columns-0000.json" in told(reader)
    reader.go("home")
    assert "61.4 %" in reader.text


@pytest.mark.parametrize("content", ["{", "[]", '{"schema_version": 9, "ledger": {"entries": 1}}', "null"])
def test_metrics_that_can_not_be_read_are_told(reader_of: Any, first_site: Any, content: str) -> None:
    (first_site.folder / "metrics.json").write_text(content)
    reader = reader_of(first_site)
    reader.page.goto(f"{first_site.address}index.html")
    reader.page.locator("main .notice").wait_for()
    assert "The metrics can't be read" in told(reader)


def spoil(path: Path, broken: str) -> None:
    """Cut a file off, or take it away."""
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()


def test_an_empty_lab_shows_the_sample_and_says_so(reader_of: Any, new_site: Callable[[], Any], story: Any) -> None:
    site = new_site().publish(()).publish(story.whole(), sample=True)
    assert json.loads((site.folder / "metrics.json").read_bytes())["ledger"]["entries"] == 0
    reader = reader_of(site)
    reader.go()
    assert "61.4 %" in reader.text
    banner = reader.page.get_by_text("Sample: this lab has not run a cycle yet")
    assert banner.is_visible()
    for view in (*VIEWS, "experiment/language-8", "experiment/vision-1"):
        reader.go(view)
        assert banner.is_visible()
        assert told(reader) == ""
    assert reader.wrong == []


@pytest.mark.parametrize("view", [*VIEWS, "experiment/language-1", "experiment/language-99"])
def test_one_experiment_is_enough_for_every_view(reader_of: Any, one_site: Any, view: str) -> None:
    reader = reader_of(one_site)
    reader.go(view)
    assert len(reader.text) > 20
    assert "NaN" not in reader.text
    assert "undefined" not in reader.text
    assert reader.wrong == []


@pytest.fixture(scope="session")
def one_site(new_site: Callable[[], Any], story: Any) -> Any:
    """The page of a lab that has only founded its lineage."""
    return new_site().publish(story.tell.recorded([("language-1", story.told()[0])]))
