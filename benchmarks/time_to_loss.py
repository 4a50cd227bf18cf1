"""Is the baseline a competent model? CPU-seconds until it reaches nanoGPT's loss on tiny shakespeare.

    python benchmarks/time_to_loss.py --corpus tinyshakespeare.txt [--steps N] [--json]

The language baseline's ops at the shape of nanoGPT's README for a CPU (4 layers, 4 heads, 128 wide, 64 context),
trained on the first 90 % of the characters until it predicts all of the last 10 % at 1.8857 nats each: what nanoGPT
reaches in 2,000 steps of 12 sequences. nanoGPT itself is a spec here, compiled and trained by the same code; its steps
take turns with ours, so that the ratio comes from one run on one machine. Validation is not counted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from aams.records import Interface, Spec
from compiler import render, spec
from compiler.fields import Tree
from compiler.identity import full
from domains import active_interface
from trainer import data, memory, models, optimizers, schedules
from trainer.train import cross_entropy

BASELINE = Path(__file__).resolve().parents[1] / "domains" / "language" / "baseline.yaml"
SOURCE = "github.com/karpathy/char-rnn, data/tinyshakespeare/input.txt"
TARGET_NATS = 1.8857
TARGET_CPU_S = 42
CONTEXT = 64
CHECKPOINTS = 30
SEED = 0

STEPS = 205
RECIPE = {
    "optimizer": {"op": "muon", "lr": 0.03, "adamw_lr": 0.01, "momentum": 0.9},
    "schedule": {"op": "linear", "warmup": 0.02},
    "batch_tokens": 1536,
}
NANOGPT = {
    "schema_version": 1,
    "domain": "language",
    "model": {
        "context": CONTEXT,
        "width": 128,
        "position": {"op": "learned"},
        "blocks": [
            {
                "repeat": 4,
                "mixer": {"op": "attention", "heads": 4},
                "channel": {"op": "mlp", "ratio": 4, "activation": "gelu"},
                "norm": {"op": "layernorm"},
            }
        ],
    },
    "training": {
        "optimizer": {"op": "adamw", "lr": 1e-3, "weight_decay": 0.1, "beta2": 0.99},
        "schedule": {"op": "cosine", "warmup": 0.05, "floor": 0.1},
        "batch_tokens": 12 * CONTEXT,
    },
}
NANOGPT_STEPS = 2000


class Training:
    """One model in training; counts the CPU-seconds of its steps and of nothing else."""

    def __init__(self, one: Spec, interface: Interface, train: Tensor, steps: int) -> None:
        self.recipe = full(one.tree)["training"]
        self.steps, self.step, self.cpu_s = steps, 0, 0.0
        torch.manual_seed(SEED)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.py")
            path.write_text(render.render(one, interface), encoding="ascii")
            self.model = models.build(path)
        self.optimizer = optimizers.build(self.model, self.recipe["optimizer"])
        items = data.items_per_step("language", self.recipe, CONTEXT)
        self.batches = data.batches("language", {"tokens": train}, items, CONTEXT, SEED)

    def advance(self) -> float:
        """Take one step, as the trainer does; gives its CPU-seconds."""
        started = time.process_time()
        parameters = list(self.model.parameters())
        inputs, targets = next(self.batches)
        torch.autograd.backward(cross_entropy(self.model(*inputs), targets, self.recipe["label_smoothing"]))
        nn.utils.clip_grad_norm_(parameters, self.recipe["clip"])
        self.optimizer.step(schedules.share(self.recipe["schedule"], self.step, self.steps))
        for parameter in parameters:
            parameter.grad = None
        self.step += 1
        spent = time.process_time() - started
        self.cpu_s += spent
        return spent


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far training had come. `nats` is the loss on the whole validation set."""

    step: int
    cpu_s: float
    nats: float


def race(ours: Training, peer: Training, validation: Tensor) -> tuple[list[Checkpoint], float]:
    """Train to the end; at every checkpoint take two steps of the peer beside two of ours.

    Returns:
        The checkpoints of the last half, in order, and the peer's CPU-seconds for a step: its median ratio to the step
        of ours beside it, times our mean step, so that what else the machine did meets both alike.
    """
    every = max(2, ours.steps // CHECKPOINTS)
    kept, ratios = [], []
    while ours.step < ours.steps:
        spent = ours.advance()
        if ours.step % every < 2:
            ratios.append(peer.advance() / spent)
        if (ours.step % every == 0 and 2 * ours.step >= ours.steps) or ours.step == ours.steps:
            weights = {name: tensor.clone() for name, tensor in ours.model.state_dict().items()}
            kept.append((ours.step, ours.cpu_s, weights))
    passed = []
    for step, cpu_s, weights in kept:
        ours.model.load_state_dict(weights)
        passed.append(Checkpoint(step, cpu_s, loss_on(ours.model, validation)))
    return passed, statistics.median(ratios) * ours.cpu_s / ours.steps


@torch.inference_mode()
def loss_on(model: nn.Module, tokens: Tensor) -> float:
    """Mean nats of every token that follows one: windows of the context laid end to end, the last one shorter."""
    nats = 0.0
    model.eval()
    for start in range(0, len(tokens) - 1, 64 * CONTEXT):
        inputs, targets = (
            tokens[start : start + 64 * CONTEXT].long(),
            tokens[start + 1 : start + 64 * CONTEXT + 1].long(),
        )
        inputs = inputs[: len(targets)]
        whole = len(targets) // CONTEXT * CONTEXT
        for at, until, length in ((0, whole, CONTEXT), (whole, len(targets), len(targets) - whole)):
            if until > at:
                logits = model(inputs[at:until].view(-1, length))
                nats += cross_entropy(logits, targets[at:until], 0.0).item() * (until - at)
    model.train()
    return nats / (len(tokens) - 1)


def characters(text: str) -> Tensor:
    """Every character by its place among the distinct ones, (N,) uint8."""
    place = {character: index for index, character in enumerate(sorted(set(text)))}
    return torch.tensor([place[character] for character in text], dtype=torch.uint8)


def shaped(baseline: Tree) -> dict[str, Any]:
    """The baseline's ops at nanoGPT's shape, with its tied head, and the recipe that suits them."""
    block = baseline["model"]["blocks"][0]
    block = {**block, "repeat": 4, "mixer": {**block["mixer"], "heads": 4}}
    model = {**baseline["model"], "width": 128, "context": CONTEXT, "tied": True, "blocks": [block]}
    return {**baseline, "model": model, "training": RECIPE}


def measure(tokens: Tensor, steps: int) -> dict[str, Any]:
    """Train our baseline on the first 90 %, and tell when it reached the target on the rest."""
    cut = len(tokens) * 9 // 10
    train, validation = tokens[:cut], tokens[cut:]
    vocabulary = int(tokens.max()) + 1
    interface = replace(active_interface("language"), vocabulary=vocabulary, classes=vocabulary)
    ours = Training(spec.from_tree(shaped(spec.read(BASELINE).tree)), interface, train, steps)
    peer = Training(spec.from_tree(NANOGPT), interface, train, NANOGPT_STEPS)
    passed, peer_step_s = race(ours, peer, validation)
    reached = next((point for point in passed if point.nats <= TARGET_NATS), None)
    peer_s = peer_step_s * NANOGPT_STEPS
    return {
        "benchmark": "time_to_loss",
        "target_nats": TARGET_NATS,
        "target_cpu_s": TARGET_CPU_S,
        "reached": asdict(reached) if reached else None,
        "nanogpt_cpu_s": peer_s,
        "ratio": peer_s / reached.cpu_s if reached else None,
        "checkpoints": [asdict(point) for point in passed],
    }


def main() -> None:
    """Train, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="CPU-seconds of the language baseline to nanoGPT's loss.")
    parser.add_argument("--corpus", type=Path, metavar="PATH", help=f"tiny shakespeare ({SOURCE})")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"steps of ours (default: {STEPS})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.corpus is None:
        skipped = f"skipped: give it tiny shakespeare with --corpus PATH ({SOURCE})"
        print(json.dumps({"benchmark": "time_to_loss", "skipped": skipped}) if args.json else skipped)
        return
    torch.set_num_threads(1)
    memory.keep()
    result = measure(characters(args.corpus.read_text(encoding="utf-8")), args.steps)
    print(json.dumps(result, indent=2) if args.json else table(result))


def table(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [f"{'step':>6}{'CPU-s':>8}{'validation nats':>17}"]
    lines += [f"{point['step']:>6}{point['cpu_s']:>8.1f}{point['nats']:>17.4f}" for point in result["checkpoints"]]
    lines.append(f"nanoGPT's {NANOGPT_STEPS:,} steps, measured beside ours: {result['nanogpt_cpu_s']:.1f} CPU-s")
    reached = result["reached"]
    if reached is None:
        lines.append(f"never reached {TARGET_NATS} nats: try more --steps")
    else:
        ratio = f"{result['ratio']:.2f}x as fast as nanoGPT"
        lines.append(
            f"{TARGET_NATS} nats after {reached['cpu_s']:.1f} CPU-s, {ratio}; target <= {TARGET_CPU_S} CPU-s, alone"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
