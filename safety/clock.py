"""The time, as manifests and entries write it: UTC to the second, so that text sorts as time does."""

from __future__ import annotations

from datetime import UTC, datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"


def utc_now() -> str:
    """Tell the time: `2026-11-21T01:40:00Z`."""
    return datetime.now(UTC).strftime(FORM)


def is_time(text: str) -> bool:
    """Say whether a text is a time in exactly that form."""
    try:
        return datetime.strptime(text, FORM).strftime(FORM) == text
    except ValueError:
        return False
