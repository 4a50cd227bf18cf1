"""Outages on demand: the next requests that match get an error, or no answer at all."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """What a matching request meets; one that is `carried_out` takes effect, and only its answer is lost."""

    status: int | Literal["timeout"]
    carried_out: bool
    retry_after_s: int | None


class Faults:
    """Faults that wait for their requests, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, re.Pattern[str], Fault, int]] = []

    def add(self, method: str, path: str, fault: Fault, times: int) -> None:
        with self._lock:
            self._waiting.append((method, re.compile(path), fault, times))

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of a request, used up once more."""
        with self._lock:
            for place, (wanted, pattern, fault, times) in enumerate(self._waiting):
                if wanted in ("*", method) and pattern.search(path):
                    left = [(wanted, pattern, fault, times - 1)] if times > 1 else []
                    self._waiting[place : place + 1] = left
                    return fault
        return None
