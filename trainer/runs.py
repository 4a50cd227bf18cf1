"""Runs in processes of their own: several at a time, one thread each, none able to harm another.

Takes runs and gives what they came to, in the order they end. The processes are forked from this one, which has torch
imported and has never trained, so that a run starts in milliseconds. They talk through a pipe in JSON; this process
never executes generated code.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from trainer import results
from trainer.results import Bundle
from trainer.train import Outcome, Status, perform

_FORK = multiprocessing.get_context("fork")
_GRACE = 1.5
_GRACE_S = 2.0

Say = Callable[[dict[str, Any]], None]


def look_around() -> dict[str, Any]:
    """The environment runs will see, found out by a process like theirs."""
    with _Child(lambda pipe: _send(pipe, results.environment())) as child:
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


class _Child:
    """A forked process that speaks to this one through a pipe."""

    def __init__(self, task: Callable[[Connection], None]) -> None:
        self.pipe, theirs = _FORK.Pipe(duplex=False)
        self.process = _FORK.Process(target=_live, args=(task, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self) -> Any:
        return json.loads(self.pipe.recv_bytes())

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Run(_Child):
    """One run while it lives. `outcome` is set once it ended."""

    def __init__(self, bundle: Bundle, run: Mapping[str, Any]) -> None:
        self.run = run
        self.outcome: dict[str, Any] | None = None
        self.weights = b""
        self.violations: list[str] = []
        self.deadline = time.monotonic() + _GRACE * bundle.inputs["budget"]["wall_s"] + _GRACE_S
        super().__init__(lambda pipe: _train(bundle, run, pipe))

    def listen(self, say: Say) -> None:
        """Take one message."""
        try:
            message = self.receive()
            event = message["event"]
            if event == "violation":
                self.violations.append(str(message["law"]))
            elif event == "outcome":
                self.outcome = asdict(Outcome(**message["outcome"]))
                self.weights = self.pipe.recv_bytes()
        except (EOFError, OSError, ValueError, KeyError, TypeError):
            self.process.join(timeout=_GRACE_S)
            self.fail("failed", _death(self.process.exitcode))
        else:
            if event == "step":
                say({**message, "run": self.run["name"]})

    def overdue(self) -> None:
        """It did not stop by itself when its time was up."""
        self.fail("stopped", "wall_s")

    def fail(self, status: Status, reason: str) -> None:
        """Say for it how it ended."""
        self.outcome = asdict(Outcome(status, reason, law_violations=self.violations))


def _live(task: Callable[[Connection], None], pipe: Connection) -> None:
    """The life of a forked process: its parent alone decides when it is interrupted, and what is printed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    task(pipe)


def _train(bundle: Bundle, run: Mapping[str, Any], pipe: Connection) -> None:
    parent = os.getppid()

    def report(message: dict[str, Any]) -> None:
        if os.getppid() != parent:
            os._exit(1)
        _send(pipe, message)

    outcome, weights = perform(bundle.directory, bundle.inputs, run, report)
    _send(pipe, {"event": "outcome", "outcome": asdict(outcome)})
    pipe.send_bytes(weights)


def _send(pipe: Connection, message: Mapping[str, Any]) -> None:
    pipe.send_bytes(json.dumps(message, allow_nan=False).encode())


def _death(status: int | None) -> str:
    """How a process ended that gave no outcome."""
    if status is None:
        return "the process sent what is not a message"
    if status >= 0:
        return f"the process ended with status {status}"
    advice = ", perhaps out of memory" if -status == signal.SIGKILL else ""
    return f"the process was ended by {signal.Signals(-status).name}{advice}"
