from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aams.errors import ResultError
from aams.records import Run
from evaluator.holdout import Question, RunScore, Split, score

RUN = Run("child-0", "child", 0, "a" * 64, 1, 90)
SPLITS = {"replay": Split(Path("replay.safetensors"), 0, 2), "holdout": Split(Path("holdout.safetensors"), 4, 7)}
QUESTION = Question(RUN, Path("model.py"), Path("child-0.safetensors"), SPLITS)
ANSWER = {
    "splits": {
        "replay": {"accuracy": [0.5, 1.0], "nats": [math.log(2), 0.0], "mean_probability": [0.25, 0.75]},
        "holdout": {"accuracy": [0.0, 0.0, 1], "nats": [1.0, 2.0, 3.0], "mean_probability": [0.5, 0.5002]},
    }
}


class Service:
    """Answers what a torch service of this answer would."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.jobs: list[dict[str, Any]] = []

    def ask_all(self, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self.jobs += jobs
        return [self.answer for _ in jobs]


def ask(answer: dict[str, Any]) -> RunScore:
    (found,) = score(Service(answer), "language", [QUESTION])
    if isinstance(found, ResultError):
        raise found
    return found


def test_scores_are_means_over_the_items_of_each_split() -> None:
    answer = ask(ANSWER)
    assert answer.run == RUN
    assert answer.splits["replay"].accuracy == 0.75
    assert answer.splits["replay"].bits == 0.5
    assert answer.splits["holdout"].accuracy == pytest.approx(1 / 3)
    assert math.fsum(answer.splits["holdout"].voice) == pytest.approx(1, abs=1e-15)


def test_the_service_is_asked_for_exactly_these_items() -> None:
    service = Service(ANSWER)
    score(service, "language", [QUESTION])
    assert service.jobs == [
        {
            "job": "evaluate",
            "model": "model.py",
            "weights": "child-0.safetensors",
            "domain": "language",
            "splits": {
                "replay": {"file": "replay.safetensors", "start": 0, "stop": 2},
                "holdout": {"file": "holdout.safetensors", "start": 4, "stop": 7},
            },
        }
    ]


REPLAY = ANSWER["splits"]["replay"]


@pytest.mark.parametrize(
    "change",
    [
        {"accuracy": [1.0]},
        {"accuracy": [1.0, 1.0, 1.0], "nats": [0.0] * 3},
        {"accuracy": [1.0, 1.5]},
        {"accuracy": [1.0, -0.5]},
        {"accuracy": [1.0, math.nan]},
        {"accuracy": [1.0, True]},
        {"accuracy": "11"},
        {"nats": [0.0]},
        {"nats": [0.0, -1.0]},
        {"nats": [0.0, math.inf]},
        {"mean_probability": []},
        {"mean_probability": [0.5, 0.4]},
        {"mean_probability": [1.5, -0.5]},
        {"mean_probability": [math.nan, 1.0]},
        {"surprise": 1},
    ],
)
def test_an_answer_that_such_a_split_can_not_give_is_refused(change: dict[str, Any]) -> None:
    answer = {"splits": ANSWER["splits"] | {"replay": REPLAY | change}}
    with pytest.raises(ResultError, match=r"child-0\.replay"):
        ask(answer)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"error": "the model broke a law: network"}, "child-0 can't be evaluated; got the model broke a law"),
        ({}, "was not evaluated on replay, holdout"),
        ({"splits": []}, "was not evaluated on"),
        ({"splits": {"replay": REPLAY}}, "was not evaluated on"),
        ({"splits": ANSWER["splits"] | {"train": REPLAY}}, "was not evaluated on"),
    ],
)
def test_a_service_that_gives_no_scores_is_reported(answer: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ResultError, match=complaint):
        ask(answer)


def answering(*nats: list[float]) -> list[RunScore | ResultError]:
    """Ask as many runs as there are answers, each on the shared replay and on a holdout block of its own."""
    questions, answers = [], []
    for index, replay in enumerate(nats):
        block = Split(Path("holdout.safetensors"), 3 * index, 3 * index + 3)
        run = Run(f"child-{index}", "child", index, "a" * 64, index, 90)
        questions.append(Question(run, Path("model.py"), Path(run.name), SPLITS | {"holdout": block}))
        answers.append({"splits": ANSWER["splits"] | {"replay": REPLAY | {"nats": replay}}})
    service: Any = SimpleNamespace(ask_all=lambda jobs: answers)
    return score(service, "language", questions)


def test_a_run_that_answers_as_another_does_item_for_item_is_a_copy_and_has_no_score() -> None:
    """Its file may differ, by an order of tensors or by a number that no item needs; what it says does not."""
    first, second, copy = answering([0.5, 0.25], [0.5, 0.125], [0.5, 0.25])
    assert isinstance(first, RunScore) and isinstance(second, RunScore)
    assert isinstance(copy, ResultError)
    assert "child-2 answers replay item for item as child-0 does" in str(copy)


def test_runs_that_learned_nothing_say_the_same_of_every_item_and_are_no_copies() -> None:
    assert all(isinstance(found, RunScore) for found in answering([0.5, 0.5], [0.5, 0.5]))


def test_runs_that_share_no_items_may_give_the_same_answers() -> None:
    other = Question(RUN, Path("model.py"), Path("x"), {"holdout": Split(Path("holdout.safetensors"), 7, 10)})
    only = Question(RUN, Path("model.py"), Path("y"), {"holdout": SPLITS["holdout"]})
    answer = {"splits": {"holdout": ANSWER["splits"]["holdout"]}}
    assert all(isinstance(found, RunScore) for found in score(Service(answer), "language", [only, other]))
