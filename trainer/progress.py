"""How far a bundle's training has come, told as JSON lines on stdout and in `progress.json`, with the time left.

Takes what runs report and how they end. The time left is what is still to come, rungs counted in, at the speed of this
session so far. Never more than one file a second.
"""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.ladder import Ladder
from trainer.results import write_whole

EVERY_S = 1.0


class Progress:
    """Tells of one session."""

    def __init__(self, out: Path, runs: Sequence[Mapping[str, Any]], ladder: Ladder) -> None:
        self.out, self.ladder = out, ladder
        self.planned: dict[str, int] = {run["name"]: run["steps"] for run in runs}
        self.steps = dict.fromkeys(self.planned, 0)
        self.ended: set[str] = set()
        self.started = time.monotonic()
        self.before = 0.0
        self.written = math.inf  # until training begins
        say({"event": "start", "runs": len(runs), "steps": sum(self.planned.values())})

    def begin(self) -> None:
        """Training begins: what was done before says nothing of its speed."""
        for name, outcome in self.ladder.outcomes.items():
            self.steps[name] = max(self.steps[name], outcome["steps"])
        self.started, self.before = time.monotonic(), self._done()
        self._write()

    def hear(self, event: Mapping[str, Any]) -> None:
        """A run came to a point of its curve."""
        self.steps[event["run"]] = event["step"]
        say({**event, "left_s": self.left_s()})
        if time.monotonic() >= self.written + EVERY_S:
            self._write()

    def end(self, record: Mapping[str, Any]) -> None:
        """A run ended: what it did not do is no longer to come."""
        name = record["name"]
        self.steps[name] = record["steps"]
        self.ended.add(name)
        say({"event": "done", "run": name, "status": record["status"], "reason": record["reason"]})
        if len(self.ended) == len(self.planned) or time.monotonic() >= self.written + EVERY_S:
            self._write()

    def left_s(self) -> float | None:
        """Seconds to the end; None before anything can be said."""
        trained, spent = self._done() - self.before, time.monotonic() - self.started
        left = self.ladder.left({name: self._share(name) for name in self.planned if name not in self.ended})
        return round(left * spent / trained, 1) if trained > 0 else None

    def _done(self) -> float:
        """Training done, in whole runs."""
        return sum(map(self._share, self.planned))

    def _share(self, name: str) -> float:
        return self.steps[name] / self.planned[name]

    def _write(self) -> None:
        self.written = time.monotonic()
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        standing = {
            "runs": len(self.planned),
            "done": len(self.ended),
            "steps": sum((self.steps if name in self.ended else self.planned)[name] for name in self.planned),
            "steps_done": sum(self.steps.values()),
            "left_s": 0.0 if len(self.ended) == len(self.planned) else self.left_s(),
            "time": now,
        }
        write_whole(self.out / "progress.json", json.dumps(standing, sort_keys=True).encode("ascii") + b"\n")


def say(message: Mapping[str, Any]) -> None:
    """Print one line of progress."""
    print(json.dumps(message, sort_keys=True), flush=True)
