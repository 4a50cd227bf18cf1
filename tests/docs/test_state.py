"""A link shows to others what its sender saw; the page goes on without a network; a file holds what was shown."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

CHOSEN = """() => [...document.querySelectorAll("main select, main input, main [aria-pressed]")].map((one) =>
  one.matches("select") ? one.value : one.matches("button") ? one.ariaPressed : one.checked + one.value)"""
FILTERED = ("lineage", "fitness", "pareto", "fields")


def choose_everything(page: Any) -> int:
    """Choose the last of every list of choices; gives how many there are."""
    count = page.locator("main select").count()
    for at in range(count):
        options = page.locator("main select").nth(at).locator("option")
        page.locator("main select").nth(at).select_option(index=options.count() - 1)
    page.wait_for_timeout(200)
    return int(count)


@pytest.mark.parametrize("view", [*FILTERED, "operators", "experiment/language-8"])
def test_what_was_chosen_is_still_chosen_after_a_reload(reader: Any, view: str) -> None:
    page = reader.page
    reader.go(view)
    before = page.evaluate(CHOSEN)
    choose_everything(page)
    if view.startswith("experiment"):
        page.get_by_role("button", name="2", exact=True).click()
    reader.settle()
    chosen, text = page.evaluate(CHOSEN), reader.text
    assert chosen != before
    page.reload()
    reader.settle()
    assert page.evaluate(CHOSEN) == chosen
    assert reader.text == text
    assert reader.wrong == []


def test_a_filter_follows_to_the_next_view_and_can_be_cleared(reader: Any) -> None:
    page = reader.page
    reader.go("lineage")
    reader.choose("domain", "vision")
    page.get_by_role("navigation").get_by_role("link", name="Fitness").click()
    reader.settle()
    assert reader.choice("domain").input_value() == "vision"
    page.get_by_role("button", name="Clear").click()
    assert reader.choice("domain").input_value() == ""
    assert "domain" not in page.url


def test_back_and_forward_go_through_the_views(reader: Any) -> None:
    page = reader.page
    reader.go()
    page.get_by_role("link", name="language/G004").first.click()
    reader.settle()
    page.get_by_role("navigation").get_by_role("link", name="Ledger").click()
    reader.settle()
    page.go_back()
    reader.settle()
    assert page.url.endswith("#/experiment/language-8")
    assert "Do it again" in reader.text
    page.go_back()
    page.get_by_role("heading", name="Champions").wait_for()
    page.go_forward()
    page.go_forward()
    page.get_by_role("heading", level=1, name="Ledger").wait_for()
    assert reader.wrong == []


def test_views_that_were_seen_once_are_there_without_a_network(reader: Any) -> None:
    views = ("home", *FILTERED, "operators", "ledger", "experiment/language-8")
    seen = {}
    for view in views:
        reader.go(view)
        seen[view] = reader.text
    reader.context.set_offline(True)
    for view in views:
        reader.page.evaluate("(hash) => { location.hash = hash }", f"#/{view}")
        reader.settle()
        assert reader.text == seen[view]
    assert reader.page.locator("main .notice").count() == 0


def downloaded(page: Any, folder: Path) -> list[dict[str, str]]:
    """The rows of what the view saves."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV").first.click()
    waiting.value.save_as(folder / "saved.csv")
    return list(csv.DictReader(io.StringIO((folder / "saved.csv").read_text())))


def test_the_operators_file_holds_the_rows_of_the_table(reader: Any, tmp_path: Path) -> None:
    reader.go("operators")
    shown = reader.page.locator("main table tbody tr").all_inner_texts()
    rows = downloaded(reader.page, tmp_path)
    assert len(rows) == len(shown) == 1
    assert [rows[0][name] for name in ("operator", "domain", "children", "accepted")] == [
        "widen",
        "language",
        "15",
        "2",
    ]


@pytest.mark.parametrize("view", FILTERED)
def test_the_file_of_a_view_holds_what_its_filters_let_pass(reader: Any, tmp_path: Path, view: str) -> None:
    reader.go(view)
    every = downloaded(reader.page, tmp_path)
    reader.choose("outcome", "rejected")
    rows = downloaded(reader.page, tmp_path)
    assert 0 < len(rows) < len(every)
    others = {row["cycle"] for row in rows if row["outcome"] != "rejected"}
    assert others <= ({"language-8"} if view == "pareto" else set())  # trade-offs always show the champion
    assert all(row in every for row in rows)
