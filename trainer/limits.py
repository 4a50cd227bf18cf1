"""The clocks of a run and the guards of its budget, over all the processes that train it.

Takes what a run has used so far, gives numbers and the name of a limit that was reached. Never stops anything itself.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from trainer import memory

TIMING = ("wall_s", "cpu_s", "train_cpu_s", "latency_ms", "peak_memory_bytes")


class Watch:
    """What a run has used, written into its timing when asked."""

    def __init__(self, timing: dict[str, float], device: torch.device) -> None:
        """Go on from what `timing` says; the process has just begun."""
        self.timing, self.before, self.device = timing, dict(timing), device
        self.started = self.training = time.monotonic()
        self.cpu_training = 0.0

    def begin_training(self) -> None:
        """What came before was loading."""
        self.training, self.cpu_training = time.monotonic(), time.process_time()

    def wall_s(self) -> float:
        """Seconds that the run has taken."""
        return self.before["wall_s"] + time.monotonic() - self.started

    def trained_s(self) -> float:
        """Seconds of training in this process."""
        return time.monotonic() - self.training

    def peak(self) -> float:
        """The most memory it has held."""
        return max(self.before["peak_memory_bytes"], memory.peak(self.device))

    def read_training(self) -> None:
        """Write down what training itself has taken."""
        self.timing["train_cpu_s"] = round(self.before["train_cpu_s"] + time.process_time() - self.cpu_training, 6)

    def read(self) -> None:
        """Write down everything else."""
        self.timing["wall_s"] = round(self.wall_s(), 6)
        self.timing["cpu_s"] = round(self.before["cpu_s"] + time.process_time(), 6)
        self.timing["peak_memory_bytes"] = self.peak()


class Limits:
    """The budget's guards, asked before every step."""

    def __init__(self, budget: Mapping[str, int], samples_per_step: int, watch: Watch, deadline: float) -> None:
        """Guard one run.

        Args:
            deadline: when the time of the whole bundle is up, as `time.monotonic` counts.
        """
        self.budget, self.watch, self.deadline = budget, watch, deadline
        self.steps = min(budget["steps"], budget["items"] // samples_per_step)
        self.which = "steps" if self.steps == budget["steps"] else "items"

    def reached(self, step: int) -> str:
        """Name of the limit that step `step` would break, or ""."""
        if step > self.steps:
            return self.which
        if time.monotonic() > self.deadline:
            return "wall_s"
        return "memory_bytes" if self.watch.peak() > self.budget["memory_bytes"] else ""
