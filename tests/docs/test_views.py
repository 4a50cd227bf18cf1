"""Every view in a real browser: nothing goes wrong in it, it fits the window, and nobody is shut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

VIEWS = (
    "home",
    "lineage",
    "fitness",
    "pareto",
    "fields",
    "operators",
    "ledger",
    "experiment/language-8",
    "experiment/language-3",
    "compare?ids=language-4,language-8",
)
KEYS = {
    "l": "Lineage",
    "f": "Fitness",
    "t": "Trade-offs",
    "i": "Fields",
    "m": "Mutations",
    "g": "Ledger",
    "o": "Overview",
}
REACHABLE = "a[href], button, select, input, textarea, summary, [tabindex='0']"
UNREACHED = """() => [...document.querySelectorAll("REACHABLE")]
  .filter((one) => !one.reached && !one.disabled && one.tabIndex >= 0 && one.checkVisibility())
  .map((one) => one.outerHTML.slice(0, 120))""".replace("REACHABLE", REACHABLE)


NARROW_AND_DARK = ("color-contrast", "scrollable-region-focusable", "target-size")
"""What may be wrong there and nowhere else."""


def complaints(page: Any, rules: Sequence[str] = ()) -> list[str]:
    """What axe finds that shuts somebody out."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
    found = axe.run(page, options={"resultTypes": ["violations"], **only}).response["violations"]
    return [
        f"{one['impact']}: {one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_every_window_in_light_and_dark_and_shuts_nobody_out(reader: Any, view: str) -> None:
    page = reader.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    reader.go(view)
    assert len(reader.text) > 60
    assert complaints(page) == []
    for scheme, width in (("light", 768), ("light", 360), ("dark", 360), ("dark", 768), ("dark", 1440)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(50)  # figures follow the width
        assert reader.overflow() <= 0, f"{width} px, {scheme}"
        if (scheme, width) == ("dark", 360):
            assert complaints(page, NARROW_AND_DARK) == []
    assert reader.wrong == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_tab_key_reaches_everything_that_can_be_used(reader: Any, view: str) -> None:
    page = reader.page
    reader.go(view)
    page.evaluate("addEventListener('focusin', (event) => (event.target.reached = true))")
    for _ in range(len(page.evaluate(UNREACHED)) + 5):
        page.keyboard.press("Tab")
    assert page.evaluate(UNREACHED) == []


def test_one_letter_goes_to_a_view_and_a_question_mark_tells_which(reader: Any) -> None:
    reader.go()
    heading = reader.page.locator("main h1")
    for letter, title in KEYS.items():
        reader.page.keyboard.press(letter)
        reader.page.get_by_role("heading", level=1, name=title, exact=True).wait_for(state="attached")
        assert heading.inner_text() == title
    reader.page.keyboard.press("?")
    listed = reader.page.get_by_role("region", name="Keyboard")
    assert all(f"{letter} {title}" in " ".join(listed.inner_text().split()) for letter, title in KEYS.items())
    reader.page.keyboard.press("Escape")
    assert not listed.is_visible()


def test_a_letter_that_is_typed_into_a_field_goes_nowhere(reader: Any) -> None:
    reader.go("lineage")
    reader.choice("domain").focus()
    reader.page.keyboard.press("l")
    reader.page.keyboard.press("g")
    assert reader.page.locator("main h1").inner_text() == "Lineage"


def test_the_first_tab_stop_skips_to_the_content(reader: Any) -> None:
    reader.go("ledger")
    reader.page.keyboard.press("Tab")
    reader.page.keyboard.press("Enter")
    assert reader.page.evaluate("document.activeElement.tagName") == "H1"


def test_an_unknown_view_leads_back(reader: Any) -> None:
    reader.page.goto(f"{reader.site.address}index.html#/nowhere/at%all")
    reader.page.get_by_role("link", name="Back to the overview").click()
    reader.page.get_by_role("heading", name="Champions").wait_for()
    assert reader.wrong == []
