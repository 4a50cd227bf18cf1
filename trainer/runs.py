"""Runs in processes of their own: several at a time, one thread each, none able to harm another.

Takes runs and gives what they came to, in the order they end. The processes are forked from this one, which has torch
imported and has never trained, so that a run starts in milliseconds. They talk through a pipe in JSON; this process
never executes generated code.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from typing import Any, get_args

from trainer import results
from trainer.children import Child, death, send
from trainer.laws import LOGGED, MAX_LISTED, MAX_TEXT
from trainer.results import Bundle
from trainer.train import CURVE_POINTS, TIMING, Outcome, Status, perform

MAX_REASON = 300
_GRACE = 1.5
_GRACE_S = 2.0
_NOT_PLAIN = re.compile(r"[^ -~]")

Say = Callable[[dict[str, Any]], None]


def look_around() -> dict[str, Any]:
    """The environment runs will see, found out by a process like theirs."""
    with Child(lambda pipe: send(pipe, results.environment())) as child:
        found: dict[str, Any] = child.receive()
    return found


def outcomes(
    bundle: Bundle, runs: Sequence[Mapping[str, Any]], workers: int, say: Say, interruption: int
) -> Generator[tuple[Mapping[str, Any], dict[str, Any], bytes], None, None]:
    """Train runs and yield each as it ends: the run, its outcome, its weights. Closing this ends every process.

    Args:
        bundle: what to train.
        runs: of its manifest, in the order to start them.
        workers: how many at a time.
        say: hears of progress.
        interruption: a file descriptor; when it can be read from, this ends without the outcomes that are missing.
    """
    waiting = deque(runs)
    living: dict[Connection, _Run] = {}
    try:
        while waiting or living:
            while waiting and len(living) < workers:
                started = _Run(bundle, waiting.popleft())
                living[started.pipe] = started
            next_deadline = min(run.deadline for run in living.values())
            ready = wait([*living, interruption], timeout=max(0.0, next_deadline - time.monotonic()))
            if interruption in ready:
                return
            for pipe, run in list(living.items()):
                if pipe in ready:
                    run.listen(say)
                if not run.outcome and time.monotonic() > run.deadline:
                    run.overdue()
                if run.outcome:
                    del living[pipe]
                    run.close()
                    yield run.run, run.outcome, run.weights
    finally:
        for run in living.values():
            run.close()


class _Run(Child):
    """One run while it lives. `outcome` is set once it ended."""

    def __init__(self, bundle: Bundle, run: Mapping[str, Any]) -> None:
        self.run = run
        self.outcome: dict[str, Any] | None = None
        self.weights = b""
        self.violations: list[str] = []
        self.most_bytes = bundle.inputs["budget"]["disk_bytes"]
        self.deadline = time.monotonic() + _GRACE * bundle.inputs["budget"]["wall_s"] + _GRACE_S
        super().__init__(lambda pipe: _train(bundle, run, pipe))

    def listen(self, say: Say) -> None:
        """Take one message."""
        try:
            message = self.receive()
            event = message["event"]
            if event == "violation":
                self.note(message["law"])
            elif event == "outcome":
                self.end(_believed(message["outcome"], self.run["steps"]), self.pipe.recv_bytes(self.most_bytes))
        except (EOFError, OSError, ValueError, KeyError, TypeError):
            self.process.join(timeout=_GRACE_S)
            reason = death(self.process.exitcode)
            self.note(f"{LOGGED}: {reason}")
            self.fail("failed", reason)
        else:
            if event == "step":
                say({**message, "run": self.run["name"]})

    def note(self, violation: object) -> None:
        """Put a violation down. What was told once counts, whatever the process says of itself later."""
        if len(self.violations) < MAX_LISTED:
            self.violations.append(_NOT_PLAIN.sub("?", str(violation))[:MAX_TEXT])

    def end(self, outcome: Outcome, weights: bytes) -> None:
        """Take what it says it came to."""
        for violation in outcome.law_violations[len(self.violations) :]:
            self.note(violation)
        outcome.law_violations = self.violations
        if self.violations and outcome.status == "finished":
            outcome.end("failed", f"broke a law: {self.violations[0]}")
        self.outcome = asdict(outcome)
        self.weights = weights if outcome.status == "finished" else b""

    def overdue(self) -> None:
        """It did not stop by itself when its time was up."""
        self.fail("stopped", "wall_s")

    def fail(self, status: Status, reason: str) -> None:
        """Say for it how it ended."""
        self.outcome = asdict(Outcome(status, reason, law_violations=self.violations))


def _believed(told: Mapping[str, Any], steps: int) -> Outcome:
    """What a run says it came to: its own affair, as long as it is what a run can say.

    Raises:
        TypeError, ValueError: it is not, and would spoil the results of all the others.
    """
    outcome = Outcome(**told)
    curve = [(int(step), float(loss)) for step, loss in outcome.curve]
    scores = [outcome.validation["accuracy"], outcome.validation["bits"]]
    numbers = [outcome.loss_first, outcome.loss_last, *scores, *(loss for _, loss in curve)]
    counts = [outcome.steps, outcome.items, outcome.parameters, *(outcome.timing[name] for name in TIMING)]
    possible = (
        outcome.status in get_args(Status)
        and bool(outcome.reason) == (outcome.status != "finished")
        and outcome.steps <= steps
        and len(outcome.validation) == len(scores)
        and len(outcome.timing) == len(TIMING)
        and len(curve) <= CURVE_POINTS
        and all(math.isfinite(number) for number in (*numbers, *counts))
        and min(counts) >= 0
        and len(outcome.reason) <= MAX_REASON
        and not _NOT_PLAIN.search(outcome.reason)
    )
    if not possible:
        raise ValueError
    return outcome


def _train(bundle: Bundle, run: Mapping[str, Any], pipe: Connection) -> None:
    parent = os.getppid()

    def report(message: dict[str, Any]) -> None:
        if os.getppid() != parent:
            os._exit(1)
        send(pipe, message)

    outcome, weights = perform(bundle.directory, bundle.inputs, run, report)
    send(pipe, {"event": "outcome", "outcome": asdict(outcome)})
    pipe.send_bytes(weights)
