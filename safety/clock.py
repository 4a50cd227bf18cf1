"""The time, as manifests and entries write it: UTC to the second, so that text sorts as time does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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


def later(time: str, seconds: int) -> str:
    """The time so many seconds after another."""
    return (datetime.strptime(time, FORM) + timedelta(seconds=seconds)).strftime(FORM)


def seconds_between(earlier: str, time: str) -> int:
    """Seconds from one time to another; negative when the first one is later."""
    return int((datetime.strptime(time, FORM) - datetime.strptime(earlier, FORM)).total_seconds())
