"""The frame of each domain's models: what fields a spec has around its ops, and what flows from op to op."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from aams.records import Interface
from compiler.fields import Choice, Field, Float, Group, Int, Slot, Tally, Tree
from compiler.skeletons import hybrid, language, vision
from compiler.skeletons.site import Misplaced, Site


class Skeleton(Protocol):
    """A plain module that frames one domain.

    Attributes:
        MODEL: the fields of `model`.
        BATCH: the recipe's field that sets how much one training step sees.
    """

    MODEL: Group
    BATCH: Int

    def sites(self, model: Tree, interface: Interface) -> Iterator[Site]:
        """Every op of a full model with its place, in the order data flows; never expands a repeat."""

    def frame(self, model: Tree, interface: Interface) -> Tally:
        """What everything around the ops costs for one item: embeddings, last norm, head."""

    def settle(self, model: Tree) -> Tree:
        """Drop what has no effect in this model, so that equal functions share an id."""

    def check(self, tree: Tree, interface: Interface) -> Iterator[Misplaced]:
        """Rules that span the whole spec."""

    def items(self, tree: Tree) -> int:
        """Items that one training step sees."""


SKELETONS: Mapping[str, Skeleton] = MappingProxyType({"language": language, "vision": vision, "hybrid": hybrid})


def grammar(domain: str) -> tuple[Field, ...]:
    """All fields of a domain's spec, top level first."""
    skeleton = SKELETONS[domain]
    return (
        Int("schema_version", 1, 1, about="Version of the spec language."),
        Choice("domain", (domain,), about="Which search space and which data."),
        skeleton.MODEL,
        Group(
            "training",
            (
                Slot("optimizer", "optimizer"),
                Slot("schedule", "schedule", default={"op": "constant"}),
                skeleton.BATCH,
                Float("clip", 0.0, 100.0, default=1.0, about="Largest gradient norm; 0 clips nothing."),
                Float("label_smoothing", 0.0, 0.3, default=0.0),
                Choice("precision", ("fp32", "bf16"), default="fp32"),
            ),
            about="How it is trained; how long is the domain's to say.",
        ),
    )
