"""Torch's import makes each worker cost seconds, so one serves almost all of these."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aams.errors import LaneError
from aams.worker import Worker

ROOT = Path(__file__).parents[2]
INTERFACE = {"domain": "vision", "vocabulary": 0, "tokens": 0, "channels": 1, "height": 2, "width": 2, "classes": 3}
MODEL = """\
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, images):
        {code}
        return self.head(images.flatten(1))
"""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(ROOT) as started:
        yield started


def model(place: Path, code: str = "pass") -> str:
    path = place / "model.py"
    path.write_text(MODEL.format(code=code))
    return str(path)


def smoke(place: Path, code: str = "pass") -> dict[str, object]:
    return {"job": "smoke", "model": model(place, code), "domain": "vision", "interface": INTERFACE, "parameters": 15}


def test_it_says_how_it_is_confined(worker: Worker) -> None:
    assert worker.isolation in ("bubblewrap", "unshare", "none")


def test_it_scores_weights_on_arrays(worker: Worker, tmp_path: Path) -> None:
    weight, bias = np.zeros((3, 4), np.float32), np.array([0, 2, 1], np.float32)
    save_file({"head.weight": weight, "head.bias": bias}, tmp_path / "weights.safetensors")
    images, labels = np.zeros((4, 1, 2, 2), np.uint8), np.array([1, 1, 2, 0], np.uint8)
    save_file({"images": images, "labels": labels}, tmp_path / "data.safetensors")
    answer = worker.ask(
        {
            "job": "evaluate",
            "model": model(tmp_path),
            "weights": str(tmp_path / "weights.safetensors"),
            "domain": "vision",
            "splits": {"holdout": {"file": str(tmp_path / "data.safetensors"), "start": 1, "stop": 4}},
        }
    )
    probability = np.exp(bias) / np.exp(bias).sum()
    score = answer["splits"]["holdout"]
    assert score["accuracy"] == [1, 0, 0]
    assert score["nats"] == pytest.approx(-np.log(probability[[1, 2, 0]]), abs=1e-6)
    assert score["mean_probability"] == pytest.approx(probability, abs=1e-6)


def test_it_tries_a_fresh_model_and_lists_its_tensors(worker: Worker, tmp_path: Path) -> None:
    expected = {"parameters": 15, "finite": True, "causal": None, "shape": [2, 3], "problem": ""}
    assert worker.ask(smoke(tmp_path)) == expected
    assert worker.ask({"job": "table", "model": model(tmp_path)})["tensors"] == {
        "head.weight": {"dtype": "F32", "shape": [3, 4]},
        "head.bias": {"dtype": "F32", "shape": [3]},
    }


def test_a_bad_job_is_answered_with_an_error_and_the_next_is_served(worker: Worker, tmp_path: Path) -> None:
    for job in ({}, {"job": "dance"}, {"job": "table", "model": str(tmp_path / "missing.py")}, {"job": ["smoke"]}):
        assert list(worker.ask(job)) == ["error"]
    assert worker.ask(smoke(tmp_path))["problem"] == ""


@pytest.mark.parametrize(
    ("code", "law"),
    [
        ("import socket; socket.socket()", "network"),
        ("open('/etc/passwd')", "read: /etc/passwd"),
        ("open('x', 'w')", "write"),
        ("import os; os.system('true')", "process"),
    ],
)
def test_a_model_is_under_the_laws_here_too(worker: Worker, tmp_path: Path, code: str, law: str) -> None:
    assert law in worker.ask(smoke(tmp_path, code))["error"]
    assert worker.ask(smoke(tmp_path))["problem"] == ""


def test_a_model_that_prints_does_not_disturb_the_answer(worker: Worker, tmp_path: Path) -> None:
    assert worker.ask(smoke(tmp_path, "print('{}', flush=True)"))["parameters"] == 15


def test_a_dead_worker_is_one_sentence_with_its_last_words(tmp_path: Path) -> None:
    with Worker(ROOT) as worker:
        last = "import os; os.write(2, b'I am\\nlost\\n'); os._exit(3)"
        with pytest.raises(LaneError, match=r"^torch's process ended at the job 'smoke'; got lost; run .*$"):
            worker.ask(smoke(tmp_path, last))
        with pytest.raises(LaneError, match="ended at the job"):
            worker.ask(smoke(tmp_path))


def test_a_worker_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    worker = Worker(ROOT)
    with pytest.raises(LaneError, match="took longer than"):
        worker.ask(smoke(tmp_path), deadline_s=0.01)
    with pytest.raises(LaneError, match="closed before"):
        worker.ask(smoke(tmp_path))
    worker.close()


def test_a_worker_that_can_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__init__.py").touch()
    (tmp_path / "trainer" / "evaluate.py").write_text("raise ImportError('half a trainer')\n")
    with Worker(tmp_path) as worker, pytest.raises(LaneError, match="half a trainer"):
        worker.ask({"job": "table"})
