"""Is compiled code as fast as what a person would write? Training throughput, compiled against hand-written.

    python benchmarks/compiled_speed.py [--rounds N] [--json]

Language: the baseline at 4 layers x 128 wide x 64 context x batch 12, against the same ops in a hand-written GPT,
against a nanoGPT-style model (LayerNorm, GELU, learned positions, no biases and no dropout as in its README's command
for a CPU, torch's own AdamW, which it fuses on a GPU only) and against the GPT-2 of `transformers`, as configured by
default (dropout 0.1) and without dropout. Vision: the baseline, against the same ops by hand. Apart from nanoGPT's, all
have the trainer's fused AdamW, and all have its memory allocator settings. Everything takes turns in one process on one
thread, in CPU-seconds; a ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aams.records import Interface
from compiler import render, spec
from compiler.fields import Tree
from compiler.identity import full
from domains import active_interface
from trainer import memory, models, optimizers
from trainer.train import cross_entropy

DOMAINS = Path(__file__).resolve().parents[1] / "domains"
LAYERS, HEADS, WIDTH, CONTEXT, BATCH, VOCABULARY = 4, 4, 128, 64, 12, 65
IMAGES = 64
STEPS_PER_TURN = 3
ADAMW = {"op": "adamw", "lr": 1e-3, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95}


class Rotary(nn.Module):
    """Rotary positions: (B, H, T, S) -> (B, H, T, S)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, context: int, size: int) -> None:
        super().__init__()
        angle = torch.arange(context)[:, None] * 10000.0 ** (-torch.arange(0, size, 2) / size)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, x: Tensor) -> Tensor:
        """Turn pairs of features."""
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cos - b * self.sin, a * self.sin + b * self.cos), dim=-1)


class Layer(nn.Module):
    """What the language baseline is made of, by hand: RMSNorm, rotary attention with normed q and k, squared ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.rotary = Rotary(CONTEXT, WIDTH // HEADS)
        self.norm2 = nn.RMSNorm(WIDTH, eps=1e-6)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        size = WIDTH // HEADS
        q, k, v = (part.unflatten(2, (HEADS, size)).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, dim=2))
        q, k = self.rotary(F.rms_norm(q, (size,))), self.rotary(F.rms_norm(k, (size,)))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.out(y)
        more: Tensor = self.down(F.relu(self.up(self.norm2(x))).square())
        return x + more


class HandWritten(nn.Module):
    """The language baseline by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.norm = nn.RMSNorm(WIDTH, eps=1e-6)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        return F.linear(self.norm(self.layers(self.embed(tokens))), self.embed.weight)


class NanoLayer(nn.Module):
    """A block as nanoGPT writes it, without biases and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.norm2 = nn.LayerNorm(WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        batch, time_, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(width, dim=2)
        q, k, v = (part.view(batch, time_, HEADS, width // HEADS).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).contiguous().view(batch, time_, width))
        more: Tensor = self.down(F.gelu(self.up(self.norm2(x))))
        return x + more


class NanoGpt(nn.Module):
    """nanoGPT at the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.layers = nn.ModuleList(NanoLayer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        x = self.embed(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = layer(x)
        logits: Tensor = self.head(self.norm(x))
        return logits


class Residual(nn.Module):
    """The vision baseline's block by hand: norm, ReLU, convolution, twice, and around it."""

    def __init__(self, width: int, out: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, out, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        same = width == out and stride == 1
        self.around = nn.Identity() if same else nn.Conv2d(width, out, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, D, H', W')."""
        y: Tensor = self.conv2(F.relu(self.norm2(self.conv1(F.relu(self.norm1(x))))))
        around: Tensor = self.around(x)
        return around + y


class HandResNet(nn.Module):
    """The vision baseline by hand, as wide and deep as it."""

    def __init__(self, shape: Tree, interface: Interface) -> None:
        super().__init__()
        stem, width = shape["stem"], shape["stem"]["width"]
        self.stem = nn.Conv2d(interface.channels, width, 3, stem["stride"], padding=1, bias=False)
        self.blocks = nn.Sequential()
        for stage in shape["stages"]:
            for index in range(sum(item["repeat"] for item in stage["blocks"])):
                self.blocks.append(Residual(width, stage["width"], 1 if index else stage["stride"]))
                width = stage["width"]
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, interface.classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, classes)."""
        logits: Tensor = self.head(F.relu(self.norm(self.blocks(self.stem(images)))).mean(dim=(2, 3)))
        return logits


def baseline(domain: str) -> dict[str, Any]:
    """A domain's baseline, all defaults written; language at nanoGPT's shape, with its tied head."""
    tree = full(spec.read(DOMAINS / domain / "baseline.yaml").tree)
    if domain == "language":
        block = tree["model"]["blocks"][0]
        attention = {**block["mixer"], "heads": HEADS, "kv_heads": HEADS}
        blocks = [{**block, "repeat": LAYERS, "mixer": attention}]
        tree["model"] |= {"width": WIDTH, "context": CONTEXT, "tied": True, "blocks": blocks}
    return tree


def compiled(tree: Tree, interface: Interface) -> nn.Module:
    """A spec through the compiler."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.py")
        path.write_text(render.render(spec.from_tree(tree), interface), encoding="ascii")
        return models.build(path)


def gpt2(**changes: float) -> nn.Module:
    """The GPT-2 of `transformers` at the same shape, its configuration as it comes but for `changes`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    class Logits(nn.Module):
        """Only what the loss needs."""

        def __init__(self) -> None:
            super().__init__()
            shape = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT}
            unused = {"use_cache": False, "bos_token_id": None, "eos_token_id": None}
            self.model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **shape, **changes, **unused))

        def forward(self, tokens: Tensor) -> Tensor:
            logits: Tensor = self.model(tokens).logits
            return logits

    return Logits()


Step = Callable[[], None]


def training_step(model: nn.Module, inputs: Tensor, targets: Tensor, unfused: bool = False) -> Step:
    """One update of a model, as the trainer makes it: loss, gradients, clipping, optimizer."""
    model.train()
    parameters = list(model.parameters())
    ours = optimizers.build(model, ADAMW)
    theirs = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.1, betas=(0.9, 0.95)) if unfused else None

    def step() -> None:
        loss = cross_entropy(model(inputs), targets, 0.0)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        if theirs:
            theirs.step()
        else:
            ours.step(1.0)
        for parameter in parameters:
            parameter.grad = None

    return step


def take_turns(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """CPU-seconds of one step, per contestant and round. The order turns around with every round."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for turn in range(rounds):
        for name in list(steps)[:: 1 if turn % 2 else -1]:
            started = time.process_time()
            for _ in range(STEPS_PER_TURN):
                steps[name]()
            seconds[name].append((time.process_time() - started) / STEPS_PER_TURN)
    return seconds


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; `ratio` is the compiled model's throughput over this one's, `note` why there is none."""

    task: str
    model: str
    items_per_cpu_s: float
    ratio: float
    target: float
    note: str = ""


def compare(task: str, items: int, steps: dict[str, Step], targets: dict[str, float], rounds: int) -> list[Line]:
    """Race the contestants; the first is the compiled one, `items` is what a step sees."""
    seconds = take_turns(steps, rounds)
    ours, *_ = seconds.values()
    return [
        Line(
            task,
            name,
            items / statistics.median(theirs),
            statistics.median(their / our for their, our in zip(theirs, ours, strict=True)),
            targets.get(name, 1.0),
        )
        for name, theirs in seconds.items()
    ]


def language(rounds: int) -> list[Line]:
    """The language baseline against its peers, in tokens."""
    interface = replace(active_interface("language"), vocabulary=VOCABULARY, classes=VOCABULARY)
    tokens = torch.randint(VOCABULARY, (BATCH, CONTEXT + 1))
    batch = tokens[:, :-1], tokens[:, 1:]
    steps = {
        "compiled": training_step(same(compiled(baseline("language"), interface), HandWritten()), *batch),
        "hand-written": training_step(HandWritten(), *batch),
        "nanoGPT-style": training_step(NanoGpt(), *batch, unfused=True),
    }
    peer = "transformers GPT-2"
    dropouts = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    installed = importlib.util.find_spec("transformers") is not None
    if installed:
        steps[peer] = training_step(gpt2(), *batch)
        steps["GPT-2, no dropout"] = training_step(gpt2(**dropouts), *batch)
    targets = {"hand-written": 0.98, "nanoGPT-style": 1.08, peer: 1.5}
    lines = compare("language, tokens", BATCH * CONTEXT, steps, targets, rounds)
    if not installed:
        lines.append(Line("language, tokens", peer, 0.0, 0.0, 1.5, "skipped: transformers is not installed"))
    return lines


def vision(rounds: int) -> list[Line]:
    """The vision baseline against the same by hand, in images."""
    interface = active_interface("vision")
    images = torch.randn(IMAGES, interface.channels, interface.height, interface.width)
    labels = torch.randint(interface.classes, (IMAGES,))
    tree = baseline("vision")
    by_hand = HandResNet(tree["model"], interface)
    steps = {
        "compiled": training_step(same(compiled(tree, interface), by_hand), images, labels),
        "hand-written": training_step(by_hand, images, labels),
    }
    return compare("vision, images", IMAGES, steps, {"hand-written": 0.98}, rounds)


def same(model: nn.Module, by_hand: nn.Module) -> nn.Module:
    """Make sure that the compiled baseline is what was written by hand.

    Raises:
        SystemExit: the baseline has other parameters by now.
    """
    ours, theirs = (sorted(tuple(one.shape) for one in each.parameters()) for each in (model, by_hand))
    if ours != theirs:
        raise SystemExit("the baseline has changed: write its peer in benchmarks/compiled_speed.py again")
    return model


def main() -> None:
    """Race, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Training throughput of compiled models against hand-written ones.")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="turns of each model (default: 20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    memory.keep()
    lines = language(args.rounds) + vision(args.rounds)
    if args.json:
        result: dict[str, Any] = {"benchmark": "compiled_speed", "lines": [asdict(line) for line in lines]}
        print(json.dumps(result, indent=2))
        return
    print(f"{'per CPU-second, one thread':<28}{'model':<20}{'items/s':>10}{'compiled is':>13}{'target':>9}")
    for line in lines:
        figures = line.note or f"{line.items_per_cpu_s:>10,.0f}{line.ratio:>12.2f}x{f'>= {line.target}':>9}"
        print(f"{line.task:<28}{line.model:<20}{figures}")


if __name__ == "__main__":
    main()
