from __future__ import annotations

import math
from pathlib import Path
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
