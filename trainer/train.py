"""One run, or a part of it: a model, trained from its seed or a checkpoint on, then measured.

Takes a run of the manifest and the bundle's directory, gives an outcome and the weights, or the state in the middle.
Runs in a process of its own, under the laws; writes no file (its parent does) and prints nothing. A budget that is
reached stops the run and is named as the reason; it is a guard, not the yardstick of fairness.
"""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer import checkpoints, data, evaluate, memory, models, optimizers, schedules
from trainer.checkpoints import Checkpoint
from trainer.laws import Guard
from trainer.limits import TIMING, Limits, Watch

CURVE_POINTS = 64
LATENCY_FORWARDS = 21
LATENCY_S = 0.25

Status = Literal["finished", "stopped", "failed", "paused"]


@dataclass(slots=True)
class Outcome:
    """What one run came to, or has come to where it paused. Numbers are 0 where the run did not get as far.

    Attributes:
        reason: why it stopped or failed, or "".
        loss_first: of the first batch, before any update.
        loss_last: mean since the last point of the curve but one.
        curve: (step, mean loss since the point before), at most 64.
        validation: `accuracy` in [0, 1] and `bits` per byte, or per answer, where it was measured last.
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


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a run, trained by one process.

    Attributes:
        run: of the manifest.
        start: where it goes on; None for the beginning.
        stop: the step it ends at, the run's last one or one to pause at.
        checkpoint_s: seconds between two checkpoints on the way.
    """

    run: Mapping[str, Any]
    start: Checkpoint | None
    stop: int
    checkpoint_s: float


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a run while it lives.

    Attributes:
        report: of every point of its curve, and of every violation as it happens.
        save: of each checkpoint on the way: the outcome so far, as plain data, and the tensors.
    """

    report: Callable[[dict[str, Any]], None]
    save: Callable[[dict[str, Any], bytes], None]


def perform(
    bundle: Path, inputs: Mapping[str, Any], segment: Segment, listener: Listener, deadline: float
) -> tuple[Outcome, bytes]:
    """Train a segment of one run, whatever its model's code does short of ending the process.

    Args:
        bundle: the directory with `specs`, `models` and `data`.
        inputs: of the manifest.
        deadline: when the time of the whole bundle is up, as `time.monotonic` counts.

    Returns:
        The outcome, and as safetensors the weights if the run finished, the tensors of a checkpoint if it paused.
    """
    run, outcome, content = segment.run, so_far(segment.start), b""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    watch = Watch(outcome.timing, device)
    prepare(device)
    training = json.loads((bundle / "specs" / f"{run['spec']}.json").read_bytes())["training"]
    train = data.load(bundle / "data" / "train.safetensors", device)
    validation = data.load(bundle / "data" / "validation.safetensors", device)
    guard = Guard([bundle], report=lambda violation: listener.report({"event": "violation", "law": violation}))
    if device.type == "cpu":
        memory.cap(inputs["budget"]["memory_bytes"])
    torch.manual_seed(run["seed"])
    guard.install()
    try:
        model = models.build(bundle / "models" / f"{run['spec']}.py").to(device)
        outcome.parameters = models.parameter_count(model)
        watch.begin_training()
        limits = Limits(inputs["budget"], _samples(model, inputs["domain"], training), watch, deadline)
        tensors = _train(model, inputs, segment, training, train, watch, limits, listener, outcome)
        watch.read_training()
        if outcome.status in ("finished", "paused"):
            _measure(model, inputs["domain"], validation, outcome)
        if outcome.status in ("finished", "paused"):
            content = models.to_bytes(model) if outcome.status == "finished" else tensors
        if len(content) > inputs["budget"]["disk_bytes"]:
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
    watch.read()
    return outcome, content if outcome.status in ("finished", "paused") else b""


def so_far(start: Checkpoint | None) -> Outcome:
    """The outcome that a segment begins with, its own to change."""
    outcome = Outcome(**json.loads(json.dumps(start.outcome))) if start else Outcome()
    outcome.status = "failed"
    return outcome


def prepare(device: torch.device) -> None:
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
    segment: Segment,
    training: Mapping[str, Any],
    arrays: data.Arrays,
    watch: Watch,
    limits: Limits,
    listener: Listener,
    outcome: Outcome,
) -> bytes:
    """Train in place; the outcome says how far it came. Gives the tensors of a checkpoint where it paused."""
    run, context = segment.run, models.context(model)
    items = data.items_per_step(inputs["domain"], training, context)
    batches = data.batches(inputs["domain"], arrays, items, context, run["seed"], skip=outcome.steps)
    optimizer = optimizers.build(model, training["optimizer"])
    schedule, clip, smoothing = training["schedule"], training["clip"], training["label_smoothing"]
    parameters = list(model.parameters())
    device = parameters[0].device
    half = training["precision"] == "bf16"
    steps = run["steps"]
    looks = looks_of(steps)
    total = torch.zeros((), device=device)
    if segment.start:
        checkpoints.restore(segment.start.tensors, model, optimizer, total)
    before, saved = outcome.items, time.monotonic()
    model.train()
    for step in range(outcome.steps + 1, segment.stop + 1):
        if limit := limits.reached(step):
            outcome.end("stopped", limit)
            return b""
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
        if step in looks:
            mean = total.item() / (step - (outcome.curve[-1][0] if outcome.curve else 0))
            total.zero_()
            if not math.isfinite(mean):
                outcome.end("failed", "loss is not finite")
                return b""
            outcome.loss_last = mean
            outcome.curve.append((step, mean))
            rate = (outcome.items - before) / watch.trained_s()
            listener.report({"event": "step", "step": step, "steps": steps, "loss": mean, **_rates(rate, context)})
        if step < segment.stop and time.monotonic() > saved + segment.checkpoint_s:
            watch.read_training()
            watch.read()
            tensors = checkpoints.pack(model, optimizer, total)
            if len(tensors) <= inputs["budget"]["disk_bytes"]:  # nothing depends on one that was left out
                listener.save({**asdict(outcome), "status": "paused"}, tensors)
            saved = time.monotonic()
    if not all(bool(tensor.isfinite().all()) for tensor in models.tensors(model).values()):
        outcome.end("failed", "weights are not finite")
    elif outcome.steps == steps:
        outcome.end("finished")
    else:
        outcome.end("paused")
        return checkpoints.pack(model, optimizer, total)
    return b""


def looks_of(steps: int) -> list[int]:
    """The steps of a run at which its loss is put down, at most 64 and the last one among them, rising."""
    interval = math.ceil(steps / CURVE_POINTS)
    return [*range(interval, steps, interval), steps]


def _samples(model: nn.Module, domain: str, training: Mapping[str, Any]) -> int:
    """What a step counts for in the budget: tokens of language, else items."""
    context = models.context(model)
    return data.items_per_step(domain, training, context) * (context if domain == "language" else 1)


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Mean loss in nats: logits (..., classes), targets (...) int64."""
    return F.cross_entropy(logits.flatten(0, -2), targets.flatten(), label_smoothing=smoothing)


def _measure(model: nn.Module, domain: str, validation: data.Arrays, outcome: Outcome) -> None:
    """Validate a model, and time it when it finished."""
    model.eval()
    scores = evaluate.score(model, domain, validation)
    accuracy, bits = float(scores.accuracy.mean()), float(scores.nats.mean()) / math.log(2)
    if not math.isfinite(bits):
        outcome.end("failed", "validation loss is not finite")
        return
    outcome.validation = {"accuracy": accuracy, "bits": bits}
    if outcome.status == "finished":
        outcome.timing["latency_ms"] = _latency_ms(model, domain, validation)


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
