"""The one home of torch evaluation, and the jobs that trusted code has done with torch (`trainer.service`).

A job is `evaluate` (a model with its weights, on splits of a domain), `smoke` (does a fresh model hold what its cost
says) or `table` (which tensors its weights hold). Takes paths and arrays, gives scores. Never trains and never writes a
file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer import data, models, smoke
from trainer.laws import Guard

TOKENS_AT_ONCE = 4096
IMAGES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of N items with C classes, all float64.

    Attributes:
        accuracy: (N,), in [0, 1]: whether the answer is right, or the share of a sequence's tokens predicted right.
        nats: (N,), negative log-likelihood of the right answer, or the mean over a sequence's tokens.
        mean_probability: (C,), the mean predictive distribution.
    """

    accuracy: Tensor
    nats: Tensor
    mean_probability: Tensor


@torch.inference_mode()
def score(model: nn.Module, domain: str, arrays: data.Arrays) -> Scores:
    """Score a model in evaluation mode on all items of one split.

    A sequence longer than the model's context is read in pieces of that length, each from an empty context.
    """
    accuracy, nats, probability = [], [], []
    for taken, targets in _pieces(model, domain, arrays):
        logits = torch.cat([model(*inputs) for inputs in taken], dim=1) if domain == "language" else model(*taken[0])
        log_probability = logits.float().log_softmax(-1)  # (B, C) or (B, T, C)
        right = log_probability.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        hit = log_probability.max(-1).indices == targets  # the first of equals, as argmax, in half its time
        accuracy.append(hit.double().view(len(targets), -1).mean(1))
        nats.append(-right.double().view(len(targets), -1).mean(1))
        mean = log_probability.exp_().flatten(0, -2).mean(0, dtype=torch.float64)
        probability.append(mean * len(targets))
    items = torch.cat(accuracy)
    total = torch.stack(probability).sum(0) / len(items)
    return Scores(items.cpu(), torch.cat(nats).cpu(), total.cpu())


def _pieces(model: nn.Module, domain: str, arrays: data.Arrays) -> Iterator[tuple[list[tuple[Tensor, ...]], Tensor]]:
    """Batches of items: what the model takes, for language piece by piece along the sequence, and the targets."""
    count = len(next(iter(arrays.values())))
    at_once = max(1, TOKENS_AT_ONCE // arrays["tokens"].shape[1]) if domain == "language" else IMAGES_AT_ONCE
    for start in range(0, count, at_once):
        inputs, targets = data.split(domain, {name: rows[start : start + at_once] for name, rows in arrays.items()})
        if domain == "language":
            yield [(piece,) for piece in torch.split(inputs[0], models.context(model), dim=1)], targets
        else:
            yield [inputs], targets


def evaluate(job: Mapping[str, Any]) -> dict[str, Any]:
    """Score stored weights on stored splits."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = models.build(Path(job["model"]))
    models.load_weights(model, Path(job["weights"]))
    model.to(device).eval()
    splits = {}
    for name, place in job["splits"].items():
        scores = score(model, job["domain"], data.load(Path(place["file"]), device, place["start"], place["stop"]))
        splits[name] = {
            "accuracy": scores.accuracy.tolist(),
            "nats": scores.nats.tolist(),
            "mean_probability": scores.mean_probability.tolist(),
        }
    return {"splits": splits}


def table(job: Mapping[str, Any]) -> dict[str, Any]:
    """Name, type (as safetensors says it: F32, I64) and shape of every tensor in a model's weights."""
    content = models.to_bytes(models.build(Path(job["model"])))
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return {"tensors": {name: {"dtype": row["dtype"], "shape": row["shape"]} for name, row in header.items()}}


_JOBS = {"evaluate": evaluate, "smoke": smoke.smoke, "table": table}


def answer(job: Mapping[str, Any], guard: Guard) -> dict[str, Any]:
    """Do one job; whatever goes wrong with it is the answer."""
    try:
        guard.allow(Path(job["model"]))
        result = _JOBS[job["job"]](job)
        if guard.violations:
            return {"error": "the model broke a law: " + guard.violations[0]}
        json.dumps(result, allow_nan=False)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        return {"error": f"{type(error).__name__}: {first_line}"[:400]}
    return result
