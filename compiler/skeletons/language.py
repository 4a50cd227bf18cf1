"""Causal models over bytes: embedding, a stack of blocks, a last norm, a head."""

from __future__ import annotations

from collections.abc import Iterator

from aams.records import Interface
from compiler.fields import Flag, Float, Group, Int, Tally, Tree
from compiler.skeletons import sequence
from compiler.skeletons.site import Misplaced, Site
from compiler.tally import linear, total, vectors

MODEL = Group(
    "model",
    (
        Int("context", 16, 2048, multiple=8, about="Longest sequence it reads, in tokens."),
        *sequence.TRUNK,
        Flag("tied", default=True, about="The head shares the embedding's weights."),
        Float("soft_cap", 5.0, 100.0, default=None, about="Squash logits into ±soft_cap by tanh; absent: don't."),
    ),
    about="The architecture.",
)

BATCH = Int("batch_tokens", 64, 262_144, about="Tokens a training step sees; a multiple of context.")


def sites(model: Tree, interface: Interface) -> Iterator[Site]:
    """Every op of a full model with its place."""
    yield from sequence.sites(model, ("model",), model["context"], model["context"])
    yield sequence.last_norm(model, ("model",), model["context"])


def frame(model: Tree, interface: Interface) -> Tally:
    """Embedding and head."""
    width, tokens = model["width"], model["context"]
    head = linear(width, interface.vocabulary, tokens, hidden=False)
    embedding = vectors(0 if model["tied"] else interface.vocabulary * width, tokens * width)
    return total(embedding, head)


def settle(model: Tree) -> Tree:
    """Drop what has no effect."""
    return sequence.settle(model)


def check(tree: Tree, interface: Interface) -> Iterator[Misplaced]:
    """Rules that span the whole spec."""
    yield from sequence.check_depth(tree["model"], ("model",))
    batch, context = tree["training"]["batch_tokens"], tree["model"]["context"]
    if batch % context:
        nearest = max(1, round(batch / context)) * context
        yield Misplaced(
            ("training", "batch_tokens"), f"must be a multiple of context={context}", str(batch), f"try {nearest}"
        )


def items(tree: Tree) -> int:
    """Sequences a training step sees."""
    return int(tree["training"]["batch_tokens"] // tree["model"]["context"])
