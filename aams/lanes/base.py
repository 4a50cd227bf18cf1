"""What a lane is: a place where bundles are trained. A lane is a plain module; `lanes.LANES` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Report = Callable[[Mapping[str, Any]], None]
"""Takes the trainer's progress events as they come."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What a lane hands back, not yet believed: a directory with results.json and weights."""

    directory: Path
    isolation: str


class Lane(Protocol):
    """A place of compute."""

    NAME: str

    def train(self, archive: Path, work: Path, report: Report) -> Returned:
        """Train every run of a bundle; called again after an interruption it goes on where it stopped.

        Args:
            archive: the packed bundle.
            work: a directory of this dispatch alone, kept between calls.
            report: is told each progress event.

        Raises:
            LaneError: the trainer failed as a whole; what finished is kept in `work`.
        """
