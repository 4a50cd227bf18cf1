"""Outages on demand: the next requests that match get an error, or no answer at all."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """What a matching request meets; one that is `carried_out` takes effect, and only its answer is lost.

    "silent" never answers, "hung up" closes the connection, "cut" ends in the middle of the answer.
    """

    status: int | Literal["silent", "hung up", "cut"]
    carried_out: bool
    retry_after_s: int | None


class Faults:
    """Faults that wait for their requests, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[re.Pattern[str], Fault, int]] = []

    def add(self, path: str, fault: Fault, times: int) -> None:
        with self._lock:
            self._waiting.append((re.compile(path), fault, times))

    def take(self, path: str) -> Fault | None:
        """The fault of a request, used up once more."""
        with self._lock:
            for place, (pattern, fault, times) in enumerate(self._waiting):
                if pattern.search(path):
                    left = [(pattern, fault, times - 1)] if times > 1 else []
                    self._waiting[place : place + 1] = left
                    return fault
        return None
