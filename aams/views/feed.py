"""The Atom feed of promotions (RFC 4287), newest first. Takes rows, gives XML; equal rows give equal bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

from aams.views.rows import best_child, is_attempt

ENTRIES = 50
ATOM = "http://www.w3.org/2005/Atom"
NEVER = "1970-01-01T00:00:00Z"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feed(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The last promotions, each with what changed, its gain and the evidence."""
    promoted = [row for row in rows if is_attempt(row) and row["parent"] and row["outcome"] == "accepted"]
    top = Xml.Element("feed", xmlns=ATOM)
    _add(top, "id", "urn:aams:promotions")
    _add(top, "title", "AAMS: promotions")
    _add(top, "updated", _closed(promoted[-1]) if promoted else NEVER)
    Xml.SubElement(top, "link", href="./")
    _add(Xml.SubElement(top, "author"), "name", "AAMS")
    for row in promoted[: -ENTRIES - 1 : -1]:
        entry = Xml.SubElement(top, "entry")
        _add(entry, "id", f"urn:sha256:{row['entries'][-1]['digest']}")
        _add(entry, "title", f"{row['domain']}/{row['generation']}: {_gain(row)}")
        _add(entry, "updated", _closed(row))
        Xml.SubElement(entry, "link", href=f"./#/experiment/{row['cycle']}")
        _add(entry, "summary", f"{_change(row)}. {row['reason']}")
    Xml.indent(top, " ")
    return b"".join([Xml.tostring(top, encoding="utf-8", xml_declaration=True), b"\n"])


def _closed(row: Mapping[str, Any]) -> str:
    return str(row["entries"][-1]["time"])


def _gain(row: Mapping[str, Any]) -> str:
    look = row["look"]
    return f"{100 * look['gain']:+.1f} points ({100 * look['low']:+.1f} to {100 * look['high']:+.1f})"


def _change(row: Mapping[str, Any]) -> str:
    best = best_child(row)
    return str(best["rationale"]) if best else "The champion was changed"


def _add(parent: Xml.Element, name: str, text: str) -> None:
    Xml.SubElement(parent, name).text = NOT_XML.sub("?", text)
