"""Mutations of one value: numbers by steps, choices and flags, options on and off, ops for others of their kind.

Each function gives other values for one spot, in random order; `on` makes an operator of it. Whether a value is legal
where it stands is for the reader to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any, TypeAlias

from compiler.fields import Choice, Field, Flag, Float, Int, Op, Slot, Tree
from compiler.identity import default_of
from compiler.ops import OPS
from evolution import draws
from evolution.edits import Edit, Edits, set_value, shuffled
from evolution.spots import Spot, spots

STEPS = ((1, 2), (2, 3), (3, 4), (4, 3), (3, 2), (2, 1))
"""Factors a number is scaled by, as numerator and denominator, so that every machine rounds alike."""

SMALL = 8
"""Whole numbers up to this many times their multiple also move by one and two multiples."""

SWAP_DRAWS = 8
"""Tries to find legal values for what a swapped-in op must be told."""

Variants: TypeAlias = Callable[[Spot, Random], Iterable[Any]]


def on(wanted: Callable[[Spot], bool], variants: Variants) -> Edits:
    """The edits that give one of the wanted spots one of its variants."""

    def edits(tree: Tree, rng: Random) -> Iterator[Edit]:
        for spot in shuffled([spot for spot in spots(tree) if wanted(spot)], rng):
            for value in variants(spot, rng):
                yield set_value(tree, spot, value)

    return edits


def any_variant(spot: Spot, rng: Random) -> Iterable[Any]:
    """Other values for a spot of whatever sort."""
    match spot.field:
        case Int() | Float():
            return toggled(spot, rng) if spot.value is None else scaled(spot, rng)
        case Choice() | Flag():
            return flipped(spot, rng)
        case Slot():
            return swapped(spot, rng)
    return ()


def scaled(spot: Spot, rng: Random) -> list[Any]:
    """A number one step up or down."""
    field, value = spot.field, spot.value
    if value is None or not isinstance(field, Int | Float):
        return []
    found = _whole_steps(field, value) if isinstance(field, Int) else _decimal_steps(field, value)
    return shuffled(sorted(number for number in found if field.low <= number <= field.high and number != value), rng)


def _whole_steps(field: Int, value: int) -> set[int]:
    unit = field.multiple
    found = {unit * round(value * up / (down * unit)) for up, down in STEPS}
    if value <= SMALL * unit:
        found |= {value - 2 * unit, value - unit, value + unit, value + 2 * unit}
    return found


def _decimal_steps(field: Float, value: float) -> set[float]:
    """Factors of the number; of its distance to one where that is what counts, like a momentum's 0.95."""
    if value <= 0:
        return set(draws.ladder(field))
    if field.high < 1 and value >= 0.5:
        return {float(f"{1 - float(f'{(1 - value) * up / down:.2g}'):.4g}") for up, down in STEPS}
    found = {float(f"{value * up / down:.2g}") for up, down in STEPS}
    return found | {0.0} if field.low == 0 else found


def grown(spot: Spot, rng: Random) -> list[Any]:
    """A number one step up."""
    return [number for number in scaled(spot, rng) if number > spot.value]


def shrunk(spot: Spot, rng: Random) -> list[Any]:
    """A number one step down."""
    return [number for number in scaled(spot, rng) if number < spot.value]


def one_more(spot: Spot, rng: Random) -> list[Any]:
    """The next whole number."""
    return [spot.value + 1]


def one_less(spot: Spot, rng: Random) -> list[Any]:
    """The whole number before."""
    return [spot.value - 1]


def toggled(spot: Spot, rng: Random) -> list[Any]:
    """An optional number off, or on at a round value."""
    if spot.value is not None:
        return [None]
    return shuffled(draws.ladder(spot.field), rng) if isinstance(spot.field, Int | Float) else []


def flipped(spot: Spot, rng: Random) -> list[Any]:
    """Another option of a choice, or a flag the other way round."""
    if isinstance(spot.field, Choice):
        return shuffled([option for option in spot.field.options if option != spot.value], rng)
    return [not spot.value]


def swapped(spot: Spot, rng: Random) -> Iterator[Any]:
    """Another op of the same kind; keeps parameters of the same name, draws what must be written."""
    if not isinstance(spot.field, Slot):
        return
    ops = OPS[spot.field.kind]
    old = ops[spot.value["op"]]
    for name in shuffled([name for name in ops if name != old.name], rng):
        fields = ops[name].fields
        kept = {field.name: spot.value[field.name] for field in fields if _carries(old, spot.value, field)}
        tried: list[Tree] = []
        for attempt in range(SWAP_DRAWS):
            told = {**draws.required(fields, rng, spot.value), **(kept if attempt % 2 == 0 else {})}
            op = {"op": name, **{field.name: told[field.name] for field in fields if field.name in told}}
            if op not in tried:
                tried.append(op)
                yield op


def _carries(old: Op, value: Tree, new: Field) -> bool:
    """Whether a parameter of the old op was set to something that the new one's declaration takes."""
    declared = next((field for field in old.fields if field.name == new.name), None)
    if declared is None or type(declared) is not type(new) or value[new.name] == default_of(declared, value):
        return False
    match new:
        case Int() | Float():
            return bool(new.low <= value[new.name] <= new.high)
        case Choice():
            return value[new.name] in new.options
    return isinstance(new, Flag)
