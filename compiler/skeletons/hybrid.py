"""Answers about images: a vision trunk, a language trunk that reads a question, and a fusion that joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aams.records import Interface
from compiler.fields import Group, Int, Place, Slot, Tally, Tree
from compiler.ops import OPS
from compiler.skeletons import sequence, stages
from compiler.skeletons.site import Misplaced, Site
from compiler.tally import linear, total, vectors

VISION = ("model", "vision")
LANGUAGE = ("model", "language")

MODEL = Group(
    "model",
    (
        Group("vision", stages.TRUNK, about="Reads the image."),
        Group("language", sequence.TRUNK, about="Reads the question."),
        Slot("fusion", "fusion", about="How the question gets at the image."),
    ),
    about="The architecture.",
)

BATCH = Int("batch", 8, 4096, about="Images with a question that a training step sees.")


def sites(model: Tree, interface: Interface) -> Iterator[Site]:
    """Every op of a full model with its place."""
    place = _meeting(model, interface)
    fusion = Site(("model", "fusion"), "fusion", model["fusion"], place, 1)
    yield from stages.sites(model["vision"], VISION, interface)
    yield from stages.normed(fusion, stages.last_norm(model["vision"], VISION))
    read = OPS["fusion"][fusion.op["op"]].out(fusion.op, place)
    yield from sequence.sites(model["language"], LANGUAGE, read.tokens, interface.tokens)
    yield sequence.last_norm(model["language"], LANGUAGE, 1)


def _meeting(model: Tree, interface: Interface) -> Place:
    """Where the fusion stands: the last map, and the question it meets."""
    language = model["language"]
    image = stages.result(model["vision"], interface)
    return replace(image, tokens=interface.tokens, target=language["width"], depth=sequence.depth(language))


def frame(model: Tree, interface: Interface) -> Tally:
    """Embedding of the question, and the head, which reads one vector."""
    width = model["language"]["width"]
    return total(
        vectors(interface.vocabulary * width, interface.tokens * width),
        linear(width, interface.classes, 1, bias=True, hidden=False),
    )


def settle(model: Tree) -> Tree:
    """Drop what has no effect."""
    return {**model, "vision": stages.settle(model["vision"]), "language": sequence.settle(model["language"])}


def check(tree: Tree, interface: Interface) -> Iterator[Misplaced]:
    """Rules that span the whole spec."""
    yield from stages.check(tree["model"]["vision"], VISION, interface)
    yield from sequence.check_depth(tree["model"]["language"], LANGUAGE)


def items(tree: Tree) -> int:
    """Images with a question that a training step sees."""
    return int(tree["training"]["batch"])
