"""Runs in processes of their own: several at a time, one thread each, none able to harm another.

Takes runs and gives what they came to, in the order they end. The processes are forked from this one, which has torch
imported and has never trained, so that a run starts in milliseconds. They talk through a pipe in JSON; this process
never executes generated code.
"""

from __future__ import annotations

import math
import os
import re
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection, wait
from typing import Any, get_args

import torch

from trainer import results
from trainer.children import Child, death, send
from trainer.laws import LOGGED, MAX_LISTED, MAX_TEXT
from trainer.limits import TIMING
from trainer.results import Bundle
from trainer.train import Listener, Outcome, Segment, Status, looks_of, perform, prepare, so_far

MAX_REASON = 300
_GRACE_S = 2.0
_NOT_PLAIN = re.compile(r"[^ -~]")

Say = Callable[[dict[str, Any]], None]


def look_around() -> dict[str, Any]:
    """The environment runs will see, found out by a process like theirs."""
    with Child(_describe) as child:
        found: dict[str, Any] = child.receive()
    return found


def _describe(pipe: Connection) -> None:
    prepare(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    send(pipe, results.environment())


def outcomes(
    bundle: Bundle,
    runs: Sequence[Mapping[str, Any]],
    next_segment: Callable[[Mapping[str, Any]], Segment | None],
    workers: int,
    say: Say,
    interruption: int,
    deadline: float,
) -> Generator[tuple[Mapping[str, Any], dict[str, Any], bytes], None, None]:
    """Train runs and yield each as it ends or comes to a checkpoint. Closing this ends every process.

    Args:
        bundle: what to train.
        runs: of its manifest, in the order to start them.
        next_segment: says what of a run is to be trained now; None while it has to wait, and once it is out.
        workers: how many at a time.
        say: hears of progress.
        interruption: a file descriptor; when it can be read from, this ends without the outcomes that are missing.
        deadline: when the bundle's time is up, as `time.monotonic` counts: a run that lives is stopped then, and one
            that would begin, or go on, after it is stopped where it stands.

    Yields:
        The run, its outcome, and its weights; where it paused, the tensors of a checkpoint.
    """
    waiting = list(runs)
    living: dict[Connection, _Run] = {}
    try:
        while True:
            too_late = []
            for run in list(waiting):
                if len(living) < workers and (segment := next_segment(run)):
                    waiting.remove(run)
                    if time.monotonic() > deadline:
                        too_late.append(segment)
                    else:
                        started = _Run(bundle, segment, deadline)
                        living[started.pipe] = started
            for segment in too_late:
                stopped = so_far(segment.start)
                stopped.end("stopped", "wall_s")
                yield segment.run, asdict(stopped), b""
            if too_late:
                continue  # others may have waited for them
            if not living:
                return
            ready = wait([*living, interruption], timeout=max(0.0, deadline + _GRACE_S - time.monotonic()))
            if interruption in ready:
                return
            for pipe, one in list(living.items()):
                if pipe in ready:
                    one.listen(say)
                if not one.ended and time.monotonic() > deadline + _GRACE_S:
                    one.overdue()
                if one.ended:
                    del living[pipe]
                    one.close()
                if outcome := one.take():
                    if one.ended and outcome["status"] == "paused":
                        waiting.insert(0, one.run)
                    yield one.run, outcome, one.content
    finally:
        for one in living.values():
            one.close()


class _Run(Child):
    """One segment of a run while it lives."""

    def __init__(self, bundle: Bundle, segment: Segment, deadline: float) -> None:
        self.run, self.segment, self.deadline = segment.run, segment, deadline
        self.outcome: dict[str, Any] | None = None
        self.ended = False
        self.content = b""
        self.violations: list[str] = []
        self.most_bytes = bundle.inputs["budget"]["disk_bytes"]
        self.used_s = segment.start.outcome["timing"]["wall_s"] if segment.start else 0.0
        self.begun = time.monotonic()
        super().__init__(lambda pipe: _train(bundle, segment, deadline, pipe))

    def take(self) -> dict[str, Any] | None:
        """What it has come to since this was asked last."""
        taken, self.outcome = self.outcome, None
        return taken

    def listen(self, say: Say) -> None:
        """Take one message."""
        try:
            message = self.receive()
            event = message["event"]
            if event == "violation":
                self.note(message["law"])
            elif event in ("checkpoint", "outcome"):
                outcome = believed(message["outcome"], self.run["steps"])
                self.check_place(outcome, is_last=event == "outcome")
                if not self.pipe.poll(_GRACE_S):
                    raise EOFError
                self.hear(outcome, self.take_bytes(self.most_bytes), is_last=event == "outcome")
            elif event == "step":
                say({**_shown(message, self.run["steps"]), "run": self.run["name"]})
        except (EOFError, OSError, ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
            self.process.join(timeout=_GRACE_S)
            reason = death(self.process.exitcode)
            self.note(f"{LOGGED}: {reason}")
            self.fail("failed", reason)

    def note(self, violation: object) -> None:
        """Put a violation down. What was told once counts, whatever the process says of itself later."""
        if len(self.violations) < MAX_LISTED:
            self.violations.append(_NOT_PLAIN.sub("?", str(violation))[:MAX_TEXT])

    def check_place(self, outcome: Outcome, is_last: bool) -> None:
        """See that it pauses or finishes where it should: else it might never end, or skip a rung.

        Raises:
            ValueError: it does not.
        """
        start = self.segment.start.outcome["steps"] if self.segment.start else 0
        stop, steps = self.segment.stop, self.run["steps"]
        if is_last:
            fits = {"finished": stop == steps, "paused": outcome.steps == stop < steps}.get(outcome.status, True)
        else:
            fits = outcome.status == "paused" and start < outcome.steps < stop
        if not fits:
            raise ValueError

    def hear(self, outcome: Outcome, content: bytes, is_last: bool) -> None:
        """Take what it says it has come to, but for its time, which is at least what passed here.

        Once it broke a law there is nothing of it to go on with; what finished too late was stopped.
        """
        passed_s = round(self.used_s + time.monotonic() - self.begun, 6)
        outcome.timing["wall_s"] = max(outcome.timing["wall_s"], passed_s)
        for violation in outcome.law_violations[len(self.violations) :]:
            self.note(violation)
        outcome.law_violations = self.violations
        if self.violations and outcome.status in ("finished", "paused"):
            outcome.end("failed", f"broke a law: {self.violations[0]}")
        if outcome.status == "finished" and time.monotonic() > self.deadline:
            outcome.end("stopped", "wall_s")
        if is_last or not self.violations:
            self.outcome, self.ended = asdict(outcome), is_last
            self.content = content if outcome.status in ("finished", "paused") else b""

    def overdue(self) -> None:
        """It did not stop by itself when its time was up."""
        self.fail("stopped", "wall_s")

    def fail(self, status: Status, reason: str) -> None:
        """Say for it how it ended."""
        self.outcome, self.ended = asdict(Outcome(status, reason, law_violations=self.violations)), True
        self.content = b""


def _shown(told: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """What a run says of a step, as far as it is shown.

    Raises:
        ValueError: it is not what a run can say.
    """
    numbers = {name: told[name] for name in ("loss", "items_per_s", "tokens_per_s")}
    step = told["step"]
    possible = type(step) is int and 0 < step <= steps and all(type(one) in (int, float) for one in numbers.values())
    if not possible or not all(math.isfinite(one) for one in numbers.values()):
        raise ValueError
    return {"event": "step", "step": step, "steps": steps, **numbers}


def believed(told: Mapping[str, Any], steps: int) -> Outcome:
    """What a run says it came to: its own affair, as long as it is what a run can say.

    Raises:
        TypeError, ValueError: it is not, and would spoil the results of all the others.
    """
    outcome = Outcome(**told)
    accuracy, bits = outcome.validation["accuracy"], outcome.validation["bits"]
    looks, looked = looks_of(steps), [step for step, _ in outcome.curve]
    losses = [outcome.loss_first, outcome.loss_last, *(loss for _, loss in outcome.curve)]
    counts = [outcome.steps, outcome.items, outcome.parameters, *looked]
    numbers = [*counts, *losses, accuracy, bits, *(outcome.timing[name] for name in TIMING)]
    possible = (
        outcome.status in get_args(Status)
        and bool(outcome.reason) == (outcome.status not in ("finished", "paused"))
        and len(outcome.validation) == len((accuracy, bits))
        and len(outcome.timing) == len(TIMING)
        and all(type(count) is int for count in counts)
        and all(type(number) in (int, float) and math.isfinite(number) and number >= 0 for number in numbers)
        and accuracy <= 1
        and looked == looks[: len(looked)]
        and (looked == looks or outcome.status != "finished")
        and max([0, *looked]) <= outcome.steps <= steps
        and (not looked or losses[1] == losses[-1])
        and len(outcome.reason) <= MAX_REASON
        and not _NOT_PLAIN.search(outcome.reason)
    )
    if not possible:
        raise ValueError
    return outcome


def _train(bundle: Bundle, segment: Segment, deadline: float, pipe: Connection) -> None:
    # Its parent ends it. A signal to all of the group would end it first, which would look like a failure of its own.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = os.getppid()

    def report(message: dict[str, Any]) -> None:
        if os.getppid() != parent:
            os._exit(1)
        send(pipe, message)

    def save(outcome: dict[str, Any], tensors: bytes) -> None:
        report({"event": "checkpoint", "outcome": outcome})
        pipe.send_bytes(tensors)

    outcome, content = perform(bundle.directory, bundle.inputs, segment, Listener(report, save), deadline)
    send(pipe, {"event": "outcome", "outcome": asdict(outcome)})
    pipe.send_bytes(content)
