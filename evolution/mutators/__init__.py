"""The closed grammar of mutations: what operators there are, and one mutation of a spec by one of them.

Takes a valid spec and a `random.Random`, gives a valid child that differs in function, or None where the operator has
no legal site. Pure: the same state of the generator gives the same child on every machine, the parent stays as it is,
and what the domain fixes is never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from aams.records import Mutation, Spec
from aams.strict import path_text
from compiler.fields import Choice, Flag, Float, Int, Slot
from evolution.edits import Edits, differ, proven
from evolution.mutators import structure, values
from evolution.spots import Spot


@dataclass(frozen=True, slots=True)
class Mutator:
    """One operator.

    Attributes:
        about: what it does, one line.
        effect: change of fitness expected before any evidence. Training compute is equal for parent and child, so that
            growth is no free gain: operators that reshape gently are given a little, those that discard a little less
            than nothing.
        edits: the changes it could make.
    """

    about: str
    effect: float
    edits: Edits


def _in_model(spot: Spot) -> bool:
    return spot.path[0] == "model"


def _is_width(spot: Spot) -> bool:
    return _in_model(spot) and isinstance(spot.field, Int) and spot.field.name == "width"


def _is_repeat(spot: Spot) -> bool:
    return _in_model(spot) and isinstance(spot.field, Int) and spot.field.name == "repeat"


def _is_number(spot: Spot) -> bool:
    sized_elsewhere = _is_width(spot) or _is_repeat(spot)
    return _in_model(spot) and isinstance(spot.field, Int | Float) and not sized_elsewhere


def _is_option(spot: Spot) -> bool:
    return _is_number(spot) and isinstance(spot.field, Int | Float) and spot.field.default is None


def _is_choice(spot: Spot) -> bool:
    return _in_model(spot) and isinstance(spot.field, Choice | Flag)


def _is_fusion(spot: Spot) -> bool:
    return isinstance(spot.field, Slot) and spot.field.kind == "fusion"


def _is_op(spot: Spot) -> bool:
    return _in_model(spot) and isinstance(spot.field, Slot) and not _is_fusion(spot)


def _is_recipe(spot: Spot) -> bool:
    return spot.path[0] == "training"


MUTATORS: Mapping[str, Mutator] = MappingProxyType(
    {
        "scale-number": Mutator(
            "A number of an op or of the model, one step up or down.", 0.001, values.on(_is_number, values.scaled)
        ),
        "toggle-option": Mutator("An optional number on or off.", -0.001, values.on(_is_option, values.toggled)),
        "flip-choice": Mutator("A choice or a flag another way.", 0.001, values.on(_is_choice, values.flipped)),
        "swap-op": Mutator("An op for another of its kind.", -0.002, values.on(_is_op, values.swapped)),
        "swap-fusion": Mutator("How image and question are joined.", -0.002, values.on(_is_fusion, values.swapped)),
        "insert-block": Mutator("A new block or stage, drawn from the grammar.", -0.001, structure.insert),
        "delete-block": Mutator("One block or stage less.", -0.003, structure.delete),
        "duplicate-block": Mutator("A block or stage twice in a row.", 0.001, structure.duplicate),
        "move-block": Mutator("A block or stage at another place.", -0.001, structure.move),
        "split-repeat": Mutator("Repeated blocks in two parts, one of them changed.", 0.001, structure.split),
        "merge-repeat": Mutator("Two neighbouring blocks made alike.", -0.001, structure.merge),
        "widen": Mutator("A width one step up.", 0.002, values.on(_is_width, values.grown)),
        "narrow": Mutator("A width one step down.", -0.002, values.on(_is_width, values.shrunk)),
        "deepen": Mutator("One more repeat of a block.", 0.002, values.on(_is_repeat, values.one_more)),
        "shorten": Mutator("One repeat of a block less.", -0.002, values.on(_is_repeat, values.one_less)),
        "change-recipe": Mutator(
            "One value or op of the training recipe.", 0.001, values.on(_is_recipe, values.any_variant)
        ),
    }
)


def mutate(spec: Spec, operator: str, rng: Random) -> tuple[Spec, Mutation] | None:
    """A child of `spec` by one operator, with what was changed; None: the operator has no legal site in this spec.

    Tries the operator's edits in random order until one is a valid spec that does something else.
    """
    mutator = MUTATORS[operator]
    for edit in mutator.edits(spec.tree, rng):
        child = proven(spec, edit.tree)
        if child and differ(spec, child):
            path = path_text(edit.path)
            return child, Mutation(operator, path, edit.before, edit.after, edit.why, mutator.effect)
    return None
