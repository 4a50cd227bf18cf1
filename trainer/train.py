"""One run: a model, trained from its seed for its steps, then measured.

Takes a run of the manifest and the bundle's directory, gives an outcome and the weights. Runs in a process of its own,
under the laws; writes no file (its parent does) and prints nothing. A budget that is reached stops the run and is named
as the reason; it is a guard, not the yardstick of fairness.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer import data, evaluate, memory, models, optimizers, schedules
from trainer.laws import Guard

CURVE_POINTS = 64
LATENCY_FORWARDS = 21
LATENCY_S = 0.25
TIMING = ("wall_s", "cpu_s", "train_cpu_s", "latency_ms", "peak_memory_bytes")

Status = Literal["finished", "stopped", "failed"]
Report = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Outcome:
    """What one run came to. Numbers are 0 where the run did not get as far.

    Attributes:
        reason: why it stopped or failed, or "".
        loss_first: of the first batch, before any update.
        loss_last: mean since the last point of the curve but one.
        curve: (step, mean loss since the point before), at most 64.
        validation: `accuracy` in [0, 1] and `bits` per byte, or per answer.
    """

    status: Status = "failed"
    reason: str = ""
    steps: int = 0
    items: int = 0
    loss_first: float = 0.0
    loss_last: float = 0.0
    curve: list[tuple[int, float]] = field(default_factory=list)
    validation: dict[str, float] = field(default_factory=lambda: {"accuracy": 0.0, "bits": 0.0})
    parameters: int = 0
    law_violations: list[str] = field(default_factory=list)
    timing: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TIMING, 0))

    def end(self, status: Status, reason: str = "") -> None:
        """Say how it ended."""
        self.status, self.reason = status, reason


def perform(bundle: Path, inputs: Mapping[str, Any], run: Mapping[str, Any], report: Report) -> tuple[Outcome, bytes]:
    """Train one run, whatever its model's code does short of ending the process.

    Args:
        bundle: the directory with `specs`, `models` and `data`.
        inputs: of the manifest.
        run: one of its runs.
        report: hears of every point of the curve, and of every violation as it happens.

    Returns:
        The outcome, and the weights as safetensors if the run finished.
    """
    started = time.monotonic()
    outcome = Outcome()
    weights = b""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _prepare(device)
    training = json.loads((bundle / "specs" / f"{run['spec']}.json").read_bytes())["training"]
    train = data.load(bundle / "data" / "train.safetensors", device)
    validation = data.load(bundle / "data" / "validation.safetensors", device)
    guard = Guard([bundle], report=lambda violation: report({"event": "violation", "law": violation}))
    if device.type == "cpu":
        memory.cap(inputs["budget"]["memory_bytes"])
    torch.manual_seed(run["seed"])
    guard.install()
    try:
        model = models.build(bundle / "models" / f"{run['spec']}.py").to(device)
        outcome.parameters = models.parameter_count(model)
        _train(model, inputs, run, training, train, report, outcome)
        if outcome.status == "finished":
            weights = _measure(model, inputs["domain"], validation, outcome)
        if len(weights) > inputs["budget"]["disk_bytes"]:
            outcome.end("stopped", "disk_bytes")
    except (MemoryError, torch.OutOfMemoryError):
        outcome.end("stopped", "memory_bytes")
    except Exception as error:
        if "can't allocate memory" in str(error):
            outcome.end("stopped", "memory_bytes")
        else:
            outcome.end("failed", _sentence(error))
    outcome.law_violations = guard.violations
    if outcome.law_violations:
        outcome.end("failed", f"broke a law: {outcome.law_violations[0]}")
    outcome.timing["wall_s"] = round(time.monotonic() - started, 6)
    outcome.timing["cpu_s"] = round(time.process_time(), 6)
    outcome.timing["peak_memory_bytes"] = memory.peak(device)
    return outcome, weights if outcome.status == "finished" else b""


def _prepare(device: torch.device) -> None:
    """One thread, and equal bytes from equal runs."""
    memory.keep()
    torch.set_num_threads(1)
    # The plain switch, use_deterministic_algorithms, imports torch's compiler: two seconds.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    torch.backends.cudnn.benchmark = False
    torch.zeros(1, device=device)


def _train(
    model: nn.Module,
    inputs: Mapping[str, Any],
    run: Mapping[str, Any],
    training: Mapping[str, Any],
    arrays: data.Arrays,
    report: Report,
    outcome: Outcome,
) -> None:
    """Train in place; the outcome says how far it came."""
    context = models.context(model)
    items = data.items_per_step(inputs["domain"], training, context)
    batches = data.batches(inputs["domain"], arrays, items, context, run["seed"])
    optimizer = optimizers.build(model, training["optimizer"])
    schedule, clip, smoothing = training["schedule"], training["clip"], training["label_smoothing"]
    parameters = list(model.parameters())
    device = parameters[0].device
    half = training["precision"] == "bf16"
    steps = run["steps"]
    interval = math.ceil(steps / CURVE_POINTS)
    samples = items * context if inputs["domain"] == "language" else items
    limits = _Limits(inputs["budget"], samples, device)
    total = torch.zeros((), device=device)
    started, cpu_started = time.monotonic(), time.process_time()
    model.train()
    for step in range(1, steps + 1):
        if limit := limits.reached(step):
            outcome.end("stopped", limit)
            break
        taken, targets = next(batches)
        with torch.autocast(device.type, torch.bfloat16) if half else contextlib.nullcontext():
            loss = cross_entropy(model(*taken), targets, smoothing)
        torch.autograd.backward(loss)
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step(schedules.share(schedule, step - 1, steps))
        for parameter in parameters:
            parameter.grad = None
        total += loss.detach()
        outcome.steps, outcome.items = step, step * items
        if step == 1:
            outcome.loss_first = _finite_or_zero(loss)
        if step % interval and step != steps:
            continue
        mean = total.item() / (step - (outcome.curve[-1][0] if outcome.curve else 0))
        total.zero_()
        if not math.isfinite(mean):
            outcome.end("failed", "loss is not finite")
            break
        outcome.loss_last = mean
        outcome.curve.append((step, mean))
        rate = outcome.items / (time.monotonic() - started)
        report({"event": "step", "step": step, "steps": steps, "loss": mean, **_rates(rate, context)})
    else:
        if all(bool(tensor.isfinite().all()) for tensor in models.tensors(model).values()):
            outcome.end("finished")
        else:
            outcome.end("failed", "weights are not finite")
    outcome.timing["train_cpu_s"] = round(time.process_time() - cpu_started, 6)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Mean loss in nats: logits (..., classes), targets (...) int64."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), label_smoothing=smoothing)


class _Limits:
    """The budget's guards, asked before every step."""

    def __init__(self, budget: Mapping[str, int], samples_per_step: int, device: torch.device) -> None:
        self.budget = budget
        self.steps = min(budget["steps"], budget["items"] // samples_per_step)
        self.which = "steps" if self.steps == budget["steps"] else "items"
        self.deadline = time.monotonic() + budget["wall_s"]
        self.device = device

    def reached(self, step: int) -> str:
        """Name of the limit that step `step` would break, or ""."""
        if step > self.steps:
            return self.which
        if time.monotonic() > self.deadline:
            return "wall_s"
        return "memory_bytes" if memory.peak(self.device) > self.budget["memory_bytes"] else ""


def _measure(model: nn.Module, domain: str, validation: data.Arrays, outcome: Outcome) -> bytes:
    """Validate, time and serialise a trained model."""
    model.eval()
    scores = evaluate.score(model, domain, validation)
    outcome.validation = {
        "accuracy": float(scores.accuracy.mean()),
        "bits": float(scores.nats.mean()) / math.log(2),
    }
    if not math.isfinite(outcome.validation["bits"]):
        outcome.end("failed", "validation loss is not finite")
    outcome.timing["latency_ms"] = _latency_ms(model, domain, validation)
    return models.to_bytes(model)


def _latency_ms(model: nn.Module, domain: str, validation: data.Arrays) -> float:
    """Median time of one forward pass of one item."""
    taken, _ = data.split(domain, {name: rows[:1] for name, rows in validation.items()})
    if domain == "language":
        taken = (taken[0][:, : models.context(model)],)
    times: list[float] = []
    with torch.inference_mode():
        model(*taken)
        while len(times) < LATENCY_FORWARDS and sum(times) < LATENCY_S:
            started = time.perf_counter()
            model(*taken)[0, 0].sum().item()
            times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1000, 4)


def _rates(items_per_s: float, context: int) -> dict[str, float]:
    return {"items_per_s": round(items_per_s, 1), "tokens_per_s": round(items_per_s * context, 1)}


def _finite_or_zero(loss: Tensor) -> float:
    value = loss.item()
    return value if math.isfinite(value) else 0.0


def _sentence(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return ascii(f"{type(error).__name__}: {first_line}")[1:-1][:200]
