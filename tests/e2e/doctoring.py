"""What somebody who holds the ledger's files could make of them: other facts, with every digest made to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aams.canonical import canonical_json, sha256


def doctor(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` have each entry of the newest cycle, and make the later ones follow."""
    opened = max(root.glob("logs/cycles/*/01-opened.json"), key=lambda path: json.loads(path.read_bytes())["time"])
    renamed: dict[str, str] = {}
    for path in sorted(opened.parent.glob("*.json")):
        before = path.read_bytes()
        entry = json.loads(before)
        change(entry)
        entry["follows"] = sorted(renamed.get(one, one) for one in entry["follows"])
        after = canonical_json(entry) + b"\n"
        path.chmod(0o644)
        path.write_bytes(after)
        renamed[sha256(before)] = sha256(after)


def flatter(entry: dict[str, Any]) -> None:
    """Claim more evidence than there is, in the last look and in the verdict that rests on it."""
    if entry["event"] in ("looked", "verdict") and entry["facts"]["look"]["standing"] == "proven":
        entry["facts"]["look"]["e_value"] *= 10
