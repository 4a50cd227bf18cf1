"""The feed of promotions: valid XML whatever a rationale says, newest first."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as Xml

from aams.views import compile_views

NAMES = {"atom": "http://www.w3.org/2005/Atom"}


def test_every_promotion_is_an_entry_and_nothing_else_is(tell: Any) -> None:
    rejected = tell.whole_cycle("G002", course="rejected", parent="G001")
    ledger = tell.first_and(tell.whole_cycle("G001"), rejected)
    top = Xml.fromstring(compile_views(ledger)["docs/feed.xml"])  # noqa: S314
    (entry,) = top.findall("atom:entry", NAMES)
    assert entry.findtext("atom:title", "", NAMES).startswith("language/G001: +")
    assert tell.HOSTILE in entry.findtext("atom:summary", "", NAMES), "as text, whatever it looks like"
    assert entry.findtext("atom:updated", "", NAMES) == top.findtext("atom:updated", "", NAMES)


def test_an_empty_ledger_has_an_empty_feed() -> None:
    top = Xml.fromstring(compile_views([])["docs/feed.xml"])  # noqa: S314
    assert top.findall("atom:entry", NAMES) == []
    assert top.findtext("atom:title", "", NAMES) == "AAMS: promotions"
