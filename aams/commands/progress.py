"""A live bar of a training: loss, speed and time left of every run; plain lines where there is no terminal.

What the page shows of it while it lasts is written to `.aams/progress.json`.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from aams.commands.output import note, printable
from aams.errors import AamsError
from aams.files import write_whole
from aams.lanes import Report
from safety.clock import utc_now

PROGRESS = ".aams/progress.json"
EVERY_S = 1.0


@contextmanager
def training_progress(root: Path, title: str, runs: int, quiet: bool) -> Iterator[Report]:
    """Show the trainer's events while the block runs, here and on the page.

    Args:
        root: the lab's folder.
        title: what is being trained, one phrase.
        runs: how many runs there are, 0 when the trainer will say.
        quiet: show nothing here, for --json.
    """
    page = _Page(root / PROGRESS, title, runs)
    try:
        with _shown(title, runs, quiet) as show:

            def report(event: Mapping[str, Any]) -> None:
                page(event)
                show(event)

            yield report
    finally:
        with suppress(OSError):
            page.path.unlink(missing_ok=True)


class _Page:
    """Keeps the file that the page reads, at most once a second; a training never fails because of it."""

    def __init__(self, path: Path, title: str, runs: int) -> None:
        self.path, self.started, self.written = path, utc_now(), -math.inf
        self.told: dict[str, Any] = {"title": title, "runs": runs, "finished": 0, "steps": 0}
        self.done: dict[str, int] = {}
        self.planned: dict[str, int] = {}
        self._write()

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "start":
            self.told |= {"runs": event["runs"], "steps": event["steps"]}
        elif event["event"] == "step":
            self.done[event["run"]], self.planned[event["run"]] = event["step"], event["steps"]
        elif event["event"] == "done":  # what it did not do is no longer to come
            self.told["finished"] += 1
            self.done[event["run"]] = self.planned.get(event["run"], 0)
        if time.monotonic() >= self.written + EVERY_S:
            self._write()

    def _write(self) -> None:
        self.written = time.monotonic()
        told = self.told | {"done_steps": sum(self.done.values()), "started": self.started}
        with suppress(AamsError):
            write_whole(self.path, json.dumps(told).encode())


@contextmanager
def _shown(title: str, runs: int, quiet: bool) -> Iterator[Report]:
    if quiet:
        yield lambda event: None
    elif sys.stderr.isatty():
        with _bars(title, runs) as report:
            yield report
    else:
        note(f"{title}: {runs} runs")
        yield _Lines(runs)


class _Lines:
    """One line a run that ended, for logs."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.done = 0
        self.loss: dict[str, float] = {}
        self.left = ""

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "step":
            self.loss[event["run"]], self.left = event["loss"], _left(event)
        elif event["event"] == "done":
            self.done += 1
            loss = self.loss.get(event["run"])
            words = f", loss {loss:.3f}" if loss is not None else ""
            left = f" ({self.left})" if self.left and self.done < self.runs else ""
            note(f"  {self.done}/{self.runs} {event['run']}: {event['status']}{words}{left}")


def _left(event: Mapping[str, Any]) -> str:
    """How long the trainer thinks it will take to the end; "" while it can't say."""
    left_s = event.get("left_s")
    if not isinstance(left_s, int | float):
        return ""
    return f"{left_s:.0f} s left" if left_s < 100 else f"{left_s / 60:.0f} min left"


@contextmanager
def _bars(title: str, runs: int) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[news]}"),
        console=Console(stderr=True),
        transient=True,
    )
    with progress:
        whole = progress.add_task(title, total=runs, news="")
        tasks: dict[str, Any] = {}

        def report(event: Mapping[str, Any]) -> None:
            name = printable(str(event.get("run", "")))
            if event["event"] == "step":
                if name not in tasks:
                    tasks[name] = progress.add_task(f"  {name}", total=event["steps"], news="")
                speed = event.get("tokens_per_s")
                words = f"{speed:,.0f} tokens/s" if speed else f"{event['items_per_s']:,.0f} items/s"
                progress.update(tasks[name], completed=event["step"], news=f"loss {event['loss']:.3f}  {words}")
                progress.update(whole, news=_left(event))
            elif event["event"] == "done":
                if name in tasks:
                    progress.remove_task(tasks.pop(name))
                progress.advance(whole)

        started = time.monotonic()
        yield report
        elapsed = time.monotonic() - started
    note(f"{title}: {runs} runs in {elapsed:.0f} s")
