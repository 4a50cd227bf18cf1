"""The smoke test of a fresh model: does it hold what its cost says, learn, and never look ahead.

Takes a smoke job (model, domain, interface, expected parameters), gives findings in words. Uses random data only.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer import models

BATCH = 2
TOLERANCE = 1e-4
_NUDGE = 0.05


def smoke(job: Mapping[str, Any]) -> dict[str, Any]:
    """Build a model and try it.

    Returns:
        `parameters` counted; `finite`: loss and all gradients are; `causal`: language only, else None; `shape` of the
        output for a batch of two; `problem`: the first thing wrong, in one sentence, or "".
    """
    interface = job["interface"]
    torch.manual_seed(0)
    result: dict[str, Any] = {"parameters": 0, "finite": False, "causal": None, "shape": [], "problem": ""}
    try:
        model = models.build(Path(job["model"]))
        result["parameters"] = models.parameter_count(model)
        _nudge(model)
        inputs, wanted = _random_inputs(job["domain"], interface, models.context(model))
        logits = model(*inputs)
        result["shape"] = list(logits.shape)
        if result["shape"] == wanted:
            result["finite"] = _learns(model, logits, interface["classes"])
            if job["domain"] == "language":
                result["causal"] = _is_causal(model, inputs[0][:1], interface["vocabulary"])
        result["problem"] = _problem(result, job["parameters"], wanted)
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0]
        result["problem"] = f"the model raised {type(error).__name__}: {first_line}"[:400]
    return result


def _nudge(model: nn.Module) -> None:
    """Move every weight a little: fresh models have zeroed projections, through which nothing could leak."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=_NUDGE)


def _random_inputs(domain: str, interface: Mapping[str, int], context: int) -> tuple[tuple[Tensor, ...], list[int]]:
    """Inputs for a batch of two, and the shape that the output must have."""
    if domain == "language":
        tokens = min(interface["tokens"], context)
        inputs = torch.randint(interface["vocabulary"], (BATCH, tokens))
        return (inputs,), [BATCH, tokens, interface["classes"]]
    images = torch.randn(BATCH, interface["channels"], interface["height"], interface["width"])
    if domain == "vision":
        return (images,), [BATCH, interface["classes"]]
    questions = torch.randint(interface["vocabulary"], (BATCH, interface["tokens"]))
    return (images, questions), [BATCH, interface["classes"]]


def _learns(model: nn.Module, logits: Tensor, classes: int) -> bool:
    """Whether the loss and every gradient are finite."""
    loss = F.cross_entropy(logits.flatten(0, -2), torch.randint(classes, logits.shape[:-1]).flatten())
    torch.autograd.backward(loss)
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return bool(loss.isfinite()) and all(bool(gradient.isfinite().all()) for gradient in gradients)


@torch.inference_mode()
def _is_causal(model: nn.Module, tokens: Tensor, vocabulary: int) -> bool:
    """Whether changing token t leaves all outputs before t as they are, for several t of one sequence (1, T)."""
    model.eval()
    length = tokens.shape[1]
    places = sorted({1, 2, length // 3, length // 2, length - 2, length - 1} & set(range(1, length)))
    changed = tokens.repeat(len(places), 1)
    for row, place in enumerate(places):
        changed[row, place] = (changed[row, place] + 1 + vocabulary // 2) % vocabulary
    before, *after = model(torch.cat((tokens, changed)))  # each (T, V)
    return all(
        bool((row[:place] - before[:place]).abs().max() <= TOLERANCE) for row, place in zip(after, places, strict=True)
    )


def _problem(result: Mapping[str, Any], parameters: int, shape: list[int]) -> str:
    if result["parameters"] != parameters:
        return f"the model has {result['parameters']} parameters, its cost says {parameters}"
    if result["shape"] != shape:
        return f"the output has shape {result['shape']}, not {shape}"
    if not result["finite"]:
        return "the loss or a gradient is not finite"
    if result["causal"] is False:
        return "an output depends on a later token"
    return ""
