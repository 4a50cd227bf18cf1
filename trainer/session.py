"""What is known of a bundle's training, in this process and on disk: who has ended, who paused where, what was decided.

Takes outcomes as they come, gives the next segment of each run and, in the end, the results. Whatever it has told
anybody is on disk by then, so that it may be killed at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import checkpoints, results
from trainer.checkpoints import Checkpoint
from trainer.ladder import Ladder, dropped
from trainer.progress import Progress
from trainer.results import Bundle
from trainer.runs import believed
from trainer.train import Segment


class Session:
    """The training of one bundle into one directory. `records` holds, by name, what is final."""

    def __init__(
        self, bundle: Bundle, out: Path, environment: Mapping[str, Any], checkpoint_s: float, is_pass: bool = False
    ) -> None:
        """Take up what is on disk.

        Args:
            is_pass: others complete what this process begins, so that what failed is on disk too.
        """
        self.is_pass = is_pass
        self.bundle, self.out, self.environment, self.checkpoint_s = bundle, out, environment, checkpoint_s
        self.runs: list[Mapping[str, Any]] = bundle.inputs["runs"]
        self.steps: dict[str, int] = {run["name"]: run["steps"] for run in self.runs}
        self.written: dict[str, str] = {}
        decided, ended = results.kept_rungs(out, bundle, environment)
        self.ladder = Ladder(bundle.inputs, decided)
        self.records: dict[str, dict[str, Any]] = {}
        self.progress = Progress(out, self.runs, self.ladder)
        for run in self.runs:
            self._take_up(run, ended.get(run["name"]))
        self._decide()
        self.progress.begin()

    def spent_s(self) -> float:
        """Seconds that the bundle has taken at least, before this process: as long as its longest run."""
        ended = [*self.records.values(), *self.ladder.outcomes.values()]
        return max((float(one["timing"]["wall_s"]) for one in ended), default=0.0)

    def missing(self) -> list[Mapping[str, Any]]:
        """The runs to train, those first that others wait for."""
        left = [run for run in self.runs if run["name"] not in self.records]
        return sorted(left, key=lambda run: run["name"] not in self.ladder.climbing)

    def next_segment(self, run: Mapping[str, Any]) -> Segment | None:
        """What of a run may be trained now."""
        name = run["name"]
        if not self.ladder.may_go_on(name):
            return None
        return Segment(run, self._checkpoint(name), self.ladder.stop(name), self.checkpoint_s)

    def take(self, run: Mapping[str, Any], outcome: Mapping[str, Any], content: bytes) -> None:
        """Put away what a run has come to, and decide what can be decided then."""
        name = run["name"]
        if outcome["status"] == "paused":
            checkpoint = Checkpoint(outcome, content)
            self.written[name] = checkpoints.keep(self.out, self.bundle, self.environment, name, checkpoint)
            self.ladder.pause(name, outcome)
        else:
            record = results.record(run, outcome, content)
            if self.is_pass or record["status"] == "finished":
                results.keep(self.out, self.bundle, self.environment, record, content)
            self._end(name, record)
        self._decide()

    def write(self, timing: Mapping[str, Any], isolation: str) -> None:
        """Write the results, when every run has ended."""
        ordered = [self.records[run["name"]] for run in self.runs]
        results.write_results(self.out, self.bundle, self.environment, ordered, self.ladder.decided, isolation, timing)

    def _take_up(self, run: Mapping[str, Any], ended: dict[str, Any] | None) -> None:
        """Go on with a run where an interrupted session left it."""
        name = run["name"]
        record = ended or results.kept(self.out, self.bundle, self.environment, name)
        if record and (ended or record["status"] != "finished" or self.ladder.stop(name) == run["steps"]):
            self._end(name, record)
        elif found := self._checkpoint(name):
            self.ladder.pause(name, found.outcome)

    def _checkpoint(self, name: str) -> Checkpoint | None:
        """Where a run goes on; what lies beyond its next rung belongs to a decision that was lost."""
        found = checkpoints.find(self.out, self.bundle, self.environment, name, self.written.get(name))
        try:
            is_possible = found is not None and believed(found.outcome, self.steps[name]).status == "paused"
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
            return None
        return found if found and is_possible and found.outcome["steps"] <= self.ladder.stop(name) else None

    def _end(self, name: str, record: dict[str, Any]) -> None:
        self.records[name] = record
        self.ladder.end(name)
        checkpoints.forget(self.out, name)
        self.progress.end(record)

    def _decide(self) -> None:
        """Decide every rung that all have come to; it is on disk before anybody goes on or is dropped."""
        by_name = {run["name"]: run for run in self.runs}
        while decision := self.ladder.decide():
            out_of_it = {
                name: results.record(
                    by_name[name], {**self.ladder.outcomes[name], "status": "dropped", "reason": reason}, b""
                )
                for name, reason in dropped(decision).items()
            }
            children = [record for name, record in self.records.items() if name in self.ladder.every]
            ended = [record for record in children if record["status"] != "finished"]
            results.keep_rungs(
                self.out, self.bundle, self.environment, self.ladder.decided, [*ended, *out_of_it.values()]
            )
            for name, record in out_of_it.items():
                self._end(name, record)
