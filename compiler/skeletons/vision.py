"""Classifiers of small images: a stem, stages of residual blocks, a head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aams.records import Interface
from compiler.fields import Group, Int, Slot, Tally, Tree
from compiler.skeletons import stages
from compiler.skeletons.site import Misplaced, Site

MODEL = Group(
    "model",
    (
        *stages.TRUNK,
        Slot("head", "head", default={"op": "linear"}),
    ),
    about="The architecture.",
)

BATCH = Int("batch", 8, 4096, about="Images a training step sees.")


def sites(model: Tree, interface: Interface) -> Iterator[Site]:
    """Every op of a full model with its place."""
    yield from stages.sites(model, ("model",), interface)
    place = replace(stages.result(model, interface), classes=interface.classes)
    head = Site(("model", "head"), "head", model["head"], place, 1)
    yield from stages.normed(head, stages.last_norm(model, ("model",)))


def frame(model: Tree, interface: Interface) -> Tally:
    """Nothing: everything in a vision model is an op."""
    return Tally()


def settle(model: Tree) -> Tree:
    """Drop what has no effect."""
    return stages.settle(model)


def check(tree: Tree, interface: Interface) -> Iterator[Misplaced]:
    """Rules that span the whole spec."""
    return stages.check(tree["model"], ("model",), interface)


def items(tree: Tree) -> int:
    """Images a training step sees."""
    return int(tree["training"]["batch"])
