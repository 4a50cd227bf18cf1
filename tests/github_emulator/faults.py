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


@dataclass(slots=True)
class _Waiting:
    """A fault for the next `times` requests that match, after so many that go well."""

    method: str
    path: re.Pattern[str]
    fault: Fault
    times: int
    after: int

    def means(self, method: str) -> bool:
        return self.method in ("*", method) or (self.method == "write" and method not in ("GET", "HEAD"))


class Faults:
    """Faults that wait for their requests, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, method: str, path: str, fault: Fault, times: int, after: int) -> None:
        with self._lock:
            self._waiting.append(_Waiting(method, re.compile(path), fault, times, after))

    def clear(self) -> None:
        with self._lock:
            self._waiting.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of a request, used up once more."""
        with self._lock:
            for one in self._waiting:
                if one.times and one.means(method) and one.path.search(path):
                    if one.after:
                        one.after -= 1
                        continue
                    one.times -= 1
                    return one.fault
        return None
