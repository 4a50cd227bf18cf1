from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn

from trainer import data, evaluate, models
from trainer.laws import Guard


class Language(nn.Module):
    context = 16

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, 8)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embed(tokens).cumsum(1)
        return x @ self.embed.weight.mT


def test_language_scores_are_those_of_one_item_after_the_other() -> None:
    torch.manual_seed(0)
    model = Language().eval()
    windows = torch.randint(256, (300, 41), dtype=torch.uint8)
    scores = evaluate.score(model, "language", {"tokens": windows})
    total = torch.zeros(256, dtype=torch.float64)
    with torch.no_grad():
        for index, window in enumerate(windows.long()):
            pieces = [model(window[start : start + 16][None])[0] for start in (0, 16)]
            pieces.append(model(window[32:40][None])[0])
            probability = torch.cat(pieces).double().softmax(-1)
            right = probability.gather(1, window[1:, None])
            assert scores.nats[index] == pytest.approx(float(-right.log().mean()), abs=1e-5)
            hits = (probability.argmax(-1) == window[1:]).double().mean()
            assert scores.accuracy[index] == pytest.approx(float(hits))
            total += probability.mean(0)
    assert torch.allclose(scores.mean_probability, total / 300, atol=1e-6)
    assert float(scores.mean_probability.sum()) == pytest.approx(1, abs=1e-6)


def test_vision_scores_are_those_of_one_item_after_the_other() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    rows = {
        "images": torch.randint(256, (70, 1, 8, 8), dtype=torch.uint8),
        "labels": torch.randint(3, (70,), dtype=torch.uint8),
    }
    scores = evaluate.score(model, "vision", rows)
    for index in range(70):
        (image,), label = data.split("vision", {name: array[index : index + 1] for name, array in rows.items()})
        probability = model(image).detach().softmax(-1)[0]
        assert scores.nats[index] == pytest.approx(-math.log(probability[int(label)]), abs=1e-5)
        assert scores.accuracy[index] == float(probability.argmax() == label[0])


def test_a_job_scores_a_slice_of_stored_arrays_with_stored_weights(honest: Path, tmp_path: Path) -> None:
    model = models.build(honest / "models" / "honest.py")
    (tmp_path / "w.safetensors").write_bytes(models.to_bytes(model))
    windows = np.random.default_rng(0).integers(0, 256, (20, 33), dtype=np.uint8)
    save_file({"tokens": windows}, tmp_path / "data.safetensors")
    answer = evaluate.evaluate(
        {
            "model": str(honest / "models" / "honest.py"),
            "weights": str(tmp_path / "w.safetensors"),
            "domain": "language",
            "splits": {"probe": {"file": str(tmp_path / "data.safetensors"), "start": 5, "stop": 9}},
        }
    )["splits"]["probe"]
    expected = evaluate.score(model.eval(), "language", {"tokens": torch.from_numpy(windows[5:9])})
    assert answer["nats"] == expected.nats.tolist()
    assert len(answer["accuracy"]) == 4
    assert len(answer["mean_probability"]) == 256


def test_weights_must_be_exactly_the_models(honest: Path, tmp_path: Path) -> None:
    model = models.build(honest / "models" / "honest.py")
    tensors = {name: tensor.numpy() for name, tensor in models.tensors(model).items()}
    assert set(tensors) == {"embed.weight", "mix.weight", "mix.bias"}
    for change, complaint in (
        ({"extra": np.zeros(1, np.float32)}, "extra"),
        ({"mix.bias": np.zeros(9, np.float32)}, "mix.bias"),
        ({"mix.bias": np.zeros(8, np.float16)}, "mix.bias"),
    ):
        save_file({**tensors, **change}, tmp_path / "w.safetensors")
        with pytest.raises(ValueError, match=complaint):
            models.load_weights(model, tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "job", ["", [], {}, {"job": "dance", "model": "x"}, {"job": ["table"], "model": "x"}, {"job": "table"}, None]
)
def test_garbage_gets_an_error_and_no_exception(job: Any) -> None:
    answer = evaluate.answer(job, Guard([]))
    assert list(answer) == ["error"]
    assert "\n" not in answer["error"]


SMOKE: dict[str, Any] = {
    "job": "smoke",
    "domain": "language",
    "interface": {"vocabulary": 256, "tokens": 32, "channels": 0, "height": 0, "width": 0, "classes": 256},
    "parameters": 256 * 8 + 8 * 8 + 8,
}


def test_an_honest_model_passes_the_smoke_test(honest: Path) -> None:
    path = honest / "models" / "honest.py"
    answer = evaluate.answer({**SMOKE, "model": str(path)}, Guard([]))
    assert answer == {
        "parameters": SMOKE["parameters"],
        "finite": True,
        "causal": True,
        "shape": [2, 16, 256],
        "problem": "",
    }


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("return self.head(self.embed(tokens).mean(1, keepdim=True) + self.embed(tokens))", "later token"),
        ("return self.head(self.embed(tokens.roll(-1, 1)))", "later token"),
        ("return self.embed(tokens)", "shape"),
        ("return self.head(self.embed(tokens)) / 0", "not finite"),
        ("raise KeyError('lost')", "KeyError"),
    ],
)
def test_the_smoke_test_says_what_is_wrong(
    code: str, problem: str, tmp_path: Path, language_model: Callable[..., str]
) -> None:
    path = tmp_path / "model.py"
    path.write_text(language_model(on_forward=code))
    assert problem in evaluate.answer({**SMOKE, "model": str(path)}, Guard([]))["problem"]


def test_the_smoke_test_sees_a_leak_behind_a_zeroed_projection(
    tmp_path: Path, language_model: Callable[..., str]
) -> None:
    path = tmp_path / "model.py"
    path.write_text(
        language_model(
            on_import="nn.Linear.reset_parameters = lambda layer: [nn.init.zeros_(one) for one in layer.parameters()]",
            on_forward="return self.head(self.embed(tokens) + self.mix(self.embed(tokens).flip(1)))",
        )
    )
    before = nn.Linear.reset_parameters
    try:
        answer = evaluate.answer({**SMOKE, "model": str(path)}, Guard([]))
    finally:
        nn.Linear.reset_parameters = before
    assert answer["causal"] is False


def test_the_smoke_test_counts_parameters(honest: Path) -> None:
    path = honest / "models" / "honest.py"
    answer = evaluate.answer({**SMOKE, "model": str(path), "parameters": 5}, Guard([]))
    assert answer["problem"] == f"the model has {SMOKE['parameters']} parameters, its cost says 5"


def test_the_table_lists_what_weights_hold(honest: Path) -> None:
    answer = evaluate.table({"model": str(honest / "models" / "honest.py")})
    assert answer["tensors"] == {
        "embed.weight": {"dtype": "F32", "shape": [256, 8]},
        "mix.weight": {"dtype": "F32", "shape": [8, 8]},
        "mix.bias": {"dtype": "F32", "shape": [8]},
    }
