"""Recomputing scores: returned weights, in a freshly rendered model, on data the trainer never saw.

Takes an object that answers torch jobs (`aams.worker`), gives one score per split and run. Every number in an answer is
checked: the model's own code ran beside it. Never imports torch and never looks at claimed scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aams.canonical import from_data
from aams.errors import AamsError, Problem, ResultError
from aams.records import Run


class Answers(Protocol):
    """Whatever answers one JSON job with one JSON object."""

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Do one job."""


@dataclass(frozen=True, slots=True)
class Split:
    """Items `start` to `stop` of the arrays in one safetensors file."""

    file: Path
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class SplitScore:
    """Means over the items of a split.

    Attributes:
        accuracy: in [0, 1].
        bits: negative log2-likelihood, per byte or per answer.
        voice: mean predictive distribution, (classes,), sums to 1.
    """

    accuracy: float
    bits: float
    voice: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RunScore:
    """Recomputed scores of one run by split name."""

    run: Run
    splits: Mapping[str, SplitScore]


@dataclass(frozen=True, slots=True)
class _Answer:
    accuracy: tuple[float, ...]
    nats: tuple[float, ...]
    mean_probability: tuple[float, ...]


def score(worker: Answers, run: Run, model: Path, weights: Path, domain: str, splits: Mapping[str, Split]) -> RunScore:
    """Score one run's weights on the given splits: `validation` of a trial; `replay`, `holdout`, `probe` of an attempt.

    Args:
        worker: the torch service.
        run: whose weights they are.
        model: model.py, rendered here from the frozen spec.
        weights: the returned file, already checked by `evaluator.weights`.
        domain: says how the arrays are read.
        splits: by name; for the holdout the block of the run's pair.

    Raises:
        ResultError: the model failed, or an answer is not what such a split can give.
    """
    places = {
        name: {"file": str(split.file), "start": split.start, "stop": split.stop} for name, split in splits.items()
    }
    job = {"job": "evaluate", "model": str(model), "weights": str(weights), "domain": domain, "splits": places}
    answer = worker.ask(job)
    if "error" in answer:
        raise ResultError(Problem(f"{run.name} can't be evaluated", str(answer["error"])[:200]))
    answers = answer.get("splits")
    if not isinstance(answers, dict) or set(answers) != set(splits):
        raise ResultError(Problem(f"{run.name} was not evaluated on {', '.join(splits)}"))
    return RunScore(
        run, {name: _split_score(f"{run.name}.{name}", answers[name], split) for name, split in splits.items()}
    )


def _split_score(place: str, data: Any, split: Split) -> SplitScore:
    try:
        answer = from_data(_Answer, data, place)
    except AamsError as error:
        raise ResultError(*error.problems) from None
    count = split.stop - split.start
    holds = (
        len(answer.accuracy) == len(answer.nats) == count > 0
        and all(0 <= value <= 1 for value in answer.accuracy)
        and all(value >= 0 for value in answer.nats)
        and all(0 <= value <= 1 for value in answer.mean_probability)
        and abs(math.fsum(answer.mean_probability) - 1) <= 1e-3
    )
    if not holds:
        raise ResultError(
            Problem("is not a score of this split", f"{len(answer.accuracy)} of {count} items", file=place)
        )
    total = math.fsum(answer.mean_probability)
    return SplitScore(
        accuracy=math.fsum(answer.accuracy) / count,
        bits=math.fsum(answer.nats) / count / math.log(2),
        voice=tuple(value / total for value in answer.mean_probability),
    )
