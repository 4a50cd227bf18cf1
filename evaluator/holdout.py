"""Recomputing scores: returned weights, in a freshly rendered model, on data the trainer never saw.

Takes an object that answers torch jobs (`aams.worker`), gives one score per split and run. Every number in an answer is
checked: the model's own code ran beside it. Never imports torch and never looks at claimed scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aams.canonical import from_data
from aams.errors import AamsError, Problem, ResultError
from aams.records import Run


class Answers(Protocol):
    """Whatever answers each JSON job with one JSON object."""

    def ask_all(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Do jobs, and answer them in their order."""


@dataclass(frozen=True, slots=True)
class Split:
    """Items `start` to `stop` of the arrays in one safetensors file."""

    file: Path
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Question:
    """What one run is to be scored on.

    Attributes:
        run: whose weights they are.
        model: model.py, rendered here from the frozen spec.
        weights: the returned file, already checked by `evaluator.weights`.
        splits: by name: `validation` of a trial; `replay`, `holdout`, `probe` of an attempt, where the holdout is the
            block of the run's pair.
    """

    run: Run
    model: Path
    weights: Path
    splits: Mapping[str, Split]


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


def score(worker: Answers, domain: str, questions: Sequence[Question]) -> list[RunScore | ResultError]:
    """Score runs, a few at a time.

    Args:
        worker: the torch service.
        domain: says how the arrays are read.
        questions: one for each run.

    Returns:
        In their order, a score; or why there is none: the model failed, its answer is not what such a split can give,
        or an earlier run answered the same, item for item: then these weights are a copy in another dress.
    """
    answers = worker.ask_all([_job(domain, question) for question in questions])
    scores: list[RunScore | ResultError] = []
    told: list[tuple[Question, Mapping[str, Any]]] = []
    for question, answer in zip(questions, answers, strict=True):
        try:
            found = _run_score(question, answer)
            _check_own(question, answer["splits"], told)
            scores.append(found)
            told.append((question, answer["splits"]))
        except ResultError as error:
            scores.append(error)
    return scores


def _job(domain: str, question: Question) -> dict[str, Any]:
    places = {
        name: {"file": str(split.file), "start": split.start, "stop": split.stop}
        for name, split in question.splits.items()
    }
    model, weights = str(question.model), str(question.weights)
    return {"job": "evaluate", "model": model, "weights": weights, "domain": domain, "splits": places}


def _run_score(question: Question, answer: Mapping[str, Any]) -> RunScore:
    run, splits = question.run, question.splits
    if "error" in answer:
        raise ResultError(Problem(f"{run.name} can't be evaluated", str(answer["error"])[:200]))
    answers = answer.get("splits")
    if not isinstance(answers, dict) or set(answers) != set(splits):
        raise ResultError(Problem(f"{run.name} was not evaluated on {', '.join(splits)}"))
    return RunScore(
        run, {name: _split_score(f"{run.name}.{name}", answers[name], split) for name, split in splits.items()}
    )


def _check_own(
    question: Question, splits: Mapping[str, Any], told: Sequence[tuple[Question, Mapping[str, Any]]]
) -> None:
    """See that a run differs from each before it on what both were asked: trained from two seeds, no two are alike.

    But for those that learned nothing: a head that is still zero says the same of every item, from whatever seed.
    """
    for other, answers in told:
        shared = [name for name, split in question.splits.items() if other.splits.get(name) == split]
        learned = any(len(set(splits[name]["nats"])) > 1 for name in shared)
        if learned and all(splits[name] == answers[name] for name in shared):
            what = f"{question.run.name} answers {' and '.join(shared)} item for item as {other.run.name} does"
            raise ResultError(Problem(what, advice="two runs have two seeds: this one is a copy"))


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
