"""Which runs go on: synchronous successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943).

Takes a manifest's rungs and what its children measured there, gives decisions. A child waits at a rung until every
other one has come there or has ended; then the best go on and the others are dropped. Controls never climb: they are
trained to their end. The same measurements give the same decisions everywhere, in whatever order they came.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DECIMALS = 3
"""Of a measurement: what differs by less is equal, and goes by the run's name."""


def rung_step(percent: int, steps: int) -> int:
    """Steps that a run of `steps` has taken when it comes to a rung."""
    return steps * percent // 100


def decide(percent: int, keep: int, bits: Mapping[str, float]) -> dict[str, Any]:
    """Rank the runs that came to a rung by their validation loss, and keep the best.

    Args:
        percent: where the rung is.
        keep: how many go on.
        bits: by run, finite.

    Returns:
        `percent`, `ranks` as `run` and `bits`, best first, and the names that are `kept`.
    """
    rounded = {run: round(value, DECIMALS) for run, value in bits.items()}
    order = sorted(rounded, key=lambda run: (rounded[run], run))
    ranks = [{"run": run, "bits": rounded[run]} for run in order]
    return {"percent": percent, "ranks": ranks, "kept": order[:keep]}


def dropped(decision: Mapping[str, Any]) -> dict[str, str]:
    """The runs that a decision drops, and the reason that is given for each."""
    names = [rank["run"] for rank in decision["ranks"]]
    words = {run: f"rung {decision['percent']} %: place {place} of {len(names)}" for place, run in enumerate(names, 1)}
    return {run: words[run] for run in names if run not in decision["kept"]}


class Ladder:
    """Where the children of one bundle stand."""

    def __init__(self, inputs: Mapping[str, Any], decided: Sequence[Mapping[str, Any]] = ()) -> None:
        """Go on from the rungs that are decided."""
        self.rungs: Sequence[Mapping[str, int]] = inputs["rungs"]
        self.decided = list(decided)
        children = [run["name"] for run in inputs["runs"] if run["arm"] == "child"] if self.rungs else []
        self.every = frozenset(children)
        self.climbing = set(decided[-1]["kept"] if decided else children)
        self.steps: dict[str, int] = {run["name"]: run["steps"] for run in inputs["runs"]}
        self.outcomes: dict[str, Mapping[str, Any]] = {}

    def stop(self, run: str) -> int:
        """The step at which a run is to stop next: at its next rung, or at its end."""
        if run in self.every and len(self.decided) < len(self.rungs):
            return rung_step(self.rungs[len(self.decided)]["percent"], self.steps[run])
        return self.steps[run]

    def may_go_on(self, run: str) -> bool:
        """Whether a run has neither been dropped nor waits for others."""
        return run not in self.every or (run in self.climbing and run not in self._waiting())

    def pause(self, run: str, outcome: Mapping[str, Any]) -> None:
        """Take note of where a run stands."""
        self.outcomes[run] = outcome

    def end(self, run: str) -> None:
        """Take note that a run ended."""
        self.climbing.discard(run)

    def decide(self) -> dict[str, Any] | None:
        """The next decision, when all who climb have come to the rung."""
        waiting = self._waiting()
        if len(self.decided) == len(self.rungs) or self.climbing - waiting:
            return None
        rung = self.rungs[len(self.decided)]
        bits = {run: self.outcomes[run]["validation"]["bits"] for run in waiting}
        decision = decide(rung["percent"], rung["keep"], bits)
        self.decided.append(decision)
        self.climbing = set(decision["kept"])
        return decision

    def left(self, done: Mapping[str, float]) -> float:
        """Training that is still to come, in whole runs; `done` is the share that each has done that has not ended."""
        level = len(self.decided)
        total = sum(1 - share for run, share in done.items() if run not in self.every)
        marks = [rung["percent"] / 100 for rung in self.rungs[level:]] + [1.0]
        total += sum(max(0.0, marks[0] - done[run]) for run in self.climbing)
        count = len(self.climbing)
        for rung, mark, following in zip(self.rungs[level:], marks, marks[1:], strict=False):
            count = min(count, rung["keep"])
            total += count * (following - mark)
        return total

    def _waiting(self) -> set[str]:
        """The climbing runs that have come to the next rung."""
        if len(self.decided) == len(self.rungs):
            return set()
        return {run for run in self.climbing if run in self.outcomes and self._is_there(run)}

    def _is_there(self, run: str) -> bool:
        return bool(self.outcomes[run]["steps"] == self.stop(run))
