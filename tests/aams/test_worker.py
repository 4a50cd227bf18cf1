"""Torch's import makes each worker cost seconds, so one serves almost all of these."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aams import confine
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
    assert worker.isolation in confine.ISOLATIONS


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
        ("import socket; socket.socket()", "no-network: socket.__new__"),
        ("open('/etc/passwd')", "own-directory: read /etc/passwd"),
        ("open('x', 'w')", "own-directory: write x"),
        ("import os; os.system('true')", "no-system: os.system"),
        ("import ctypes, os; ctypes.pythonapi.kill(os.getppid(), 9)", "no-system: ctypes.dlsym"),
    ],
)
def test_a_model_is_under_the_laws_here_too(worker: Worker, tmp_path: Path, code: str, law: str) -> None:
    assert law in worker.ask(smoke(tmp_path, code))["error"]
    assert worker.ask(smoke(tmp_path))["problem"] == ""


def test_a_model_that_prints_does_not_disturb_the_answer(worker: Worker, tmp_path: Path) -> None:
    assert worker.ask(smoke(tmp_path, "print('{}', flush=True)"))["parameters"] == 15


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os; os._exit(3)", "the process ended with status 3"),
        ("import os; os.abort()", "the process was ended by SIGABRT"),
        ("import faulthandler as f; f.disable(); f._sigsegv()", "the process was ended by SIGSEGV"),
        ("import os; os.closerange(3, 99); os._exit(0)", "the process ended with status 0"),
    ],
)
def test_a_model_that_ends_its_process_is_an_answer_and_the_next_is_served(
    worker: Worker, tmp_path: Path, code: str, sentence: str
) -> None:
    assert worker.ask(smoke(tmp_path, code)) == {"error": sentence}
    assert worker.ask(smoke(tmp_path, code)) == {"error": sentence}
    assert worker.ask(smoke(tmp_path))["problem"] == ""


def test_a_model_that_wants_all_memory_is_an_answer(worker: Worker, tmp_path: Path) -> None:
    for code in ("images.new_zeros(2**42)", "b'x' * 2**42"):
        assert "emory" in worker.ask(smoke(tmp_path, code))["problem"]
    assert worker.ask(smoke(tmp_path))["problem"] == ""


def test_a_model_that_takes_too_long_is_an_answer(worker: Worker, tmp_path: Path) -> None:
    late = smoke(tmp_path, "while True: pass")
    assert worker.ask_all([late, late], deadline_s=0.3) == [{"error": "it took longer than 0.3 s"}] * 2
    assert worker.ask(smoke(tmp_path))["problem"] == ""


def test_answers_are_in_the_order_of_their_jobs(worker: Worker, tmp_path: Path) -> None:
    codes = ("import time; time.sleep(0.4)", "import os; os._exit(3)", "pass", "import os; os._exit(4)")
    jobs = []
    for index, code in enumerate(codes):
        (tmp_path / str(index)).mkdir()
        jobs.append(smoke(tmp_path / str(index), code))
    answers = worker.ask_all(jobs)
    assert [answer.get("error", answer.get("problem")) for answer in answers] == [
        "",
        "the process ended with status 3",
        "",
        "the process ended with status 4",
    ]
    assert worker.ask_all([]) == []


def test_what_a_model_changes_is_gone_with_it(worker: Worker, tmp_path: Path) -> None:
    poison = "import trainer.smoke; trainer.smoke.models.parameter_count = lambda model: 1 / 0"
    worker.ask(smoke(tmp_path, poison))
    assert worker.ask(smoke(tmp_path))["parameters"] == 15


def test_a_dead_service_is_one_sentence_with_its_last_words(tmp_path: Path) -> None:
    with Worker(ROOT) as worker:
        assert worker.ask(smoke(tmp_path))["problem"] == ""
        os.killpg(worker._process.pid, signal.SIGKILL)
        with pytest.raises(LaneError, match=r"^torch's process ended; got exit status -?\d+; run .*$"):
            worker.ask(smoke(tmp_path), deadline_s=60)
        with pytest.raises(LaneError, match=r"torch's process ended; .*"):
            worker.ask(smoke(tmp_path))


def test_a_silent_service_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aams.worker.START_S", 0.01)
    worker = Worker(ROOT)
    with pytest.raises(LaneError, match="is silent"):
        worker.ask(smoke(tmp_path), deadline_s=0.01)
    with pytest.raises(LaneError, match="closed before"):
        worker.ask(smoke(tmp_path))
    worker.close()


def living(group: int) -> list[str]:
    """States of a group's processes that are no zombies."""
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [state for number, state in rows if int(number) == group and not state.startswith("Z")]


def test_an_interruption_in_the_middle_ends_service_and_job(tmp_path: Path) -> None:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), Worker(ROOT) as worker:
        worker.ask(smoke(tmp_path))
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        worker.ask(smoke(tmp_path, "import time; time.sleep(60)"))
    deadline = time.monotonic() + 5  # a killed process takes its moment
    while living(worker._process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not living(worker._process.pid)


def test_a_service_that_can_not_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__init__.py").touch()
    (tmp_path / "trainer" / "service.py").write_text("raise ImportError('half a trainer')\n")
    with Worker(tmp_path) as worker:
        for _ in range(2):
            with pytest.raises(LaneError, match="half a trainer"):
                worker.ask({"job": "table"})
