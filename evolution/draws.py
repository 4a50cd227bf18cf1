"""Random values of the search space, of sizes like those of a spec that is known to be sane.

Takes declarations and a `random.Random`; the same state gives the same draw on every machine, because values come from
ladders of short decimals and powers of two. Rules between values are not looked at here: who draws checks the whole.
"""

from __future__ import annotations

from random import Random
from typing import Any

from compiler.fields import REQUIRED, Choice, Field, Flag, Float, Group, Int, Many, Slot, Tree
from compiler.identity import default_of
from compiler.ops import OPS

LEAVE = 2 / 3
"""How often a field that has a default is left to it."""

NEAR = 4
"""A number is drawn at most this many times above or below its pattern's, or its default."""

FEW = 32
"""A range of so many whole numbers is small enough to have every one on its ladder."""

EXTRA_ITEMS = 1
"""A list is drawn with at most this many items more than its pattern has."""


def ladder(field: Int | Float) -> list[Any]:
    """Round values of a number's range, ascending: powers of two, or 1, 2 and 5 times powers of ten."""
    if isinstance(field, Float):
        decimals = [float(f"{digit}e{exponent}") for exponent in range(-6, 7) for digit in (1, 2, 5)]
        rungs = [number for number in (0.0, *decimals) if field.low <= number <= field.high]
        return rungs or [field.low]
    first = -(-field.low // field.multiple)
    last = field.high // field.multiple
    if last - first < FEW:
        return [count * field.multiple for count in range(first, last + 1)]
    powers = (2**exponent for exponent in range(last.bit_length()))
    return [count * field.multiple for count in (0, *powers) if first <= count <= last]


def number(field: Int | Float, rng: Random, like: Any = None) -> Any:
    """A round value, likeliest in the middle of the ladder around `like`, around the default, or of the whole range."""
    rungs = ladder(field)
    middle = field.default if like is None else like
    if isinstance(middle, int | float) and middle > 0:
        rungs = [rung for rung in rungs if middle <= rung * NEAR and rung <= middle * NEAR] or rungs
    return rungs[(rng.randrange(len(rungs)) + rng.randrange(len(rungs))) // 2]


def required(fields: tuple[Field, ...], rng: Random, like: Tree) -> dict[str, Any]:
    """A value for every field that must be written; numbers are near those of the pattern `like`, by name."""
    return {field.name: _value(field, rng, like.get(field.name)) for field in fields if not _is_optional(field)}


def values(fields: tuple[Field, ...], rng: Random, like: Tree) -> dict[str, Any]:
    """A value for every field that must be written, and for some that needn't."""
    drawn: dict[str, Any] = {}
    for field in fields:
        if _is_optional(field) and rng.random() < LEAVE:
            continue
        value = _value(field, rng, like.get(field.name))
        if not _is_optional(field) or value != default_of(field, drawn):
            drawn[field.name] = value
    return drawn


def _is_optional(field: Field) -> bool:
    return not isinstance(field, Group | Many) and field.default is not REQUIRED


def _value(field: Field, rng: Random, like: Any) -> Any:
    match field:
        case Int() | Float():
            return number(field, rng, like)
        case Choice():
            return rng.choice(field.options)
        case Flag():
            return rng.random() < 0.5
        case Slot():
            name = rng.choice(list(OPS[field.kind]))
            return {"op": name, **values(OPS[field.kind][name].fields, rng, like or {})}
        case Group():
            return values(field.fields, rng, like or {})
        case Many():
            patterns = like or [{}]
            fewest = max(1, field.low)
            count = rng.randint(fewest, min(field.high, max(fewest, len(patterns)) + EXTRA_ITEMS))
            return [values(field.item.fields, rng, patterns[min(place, len(patterns) - 1)]) for place in range(count)]
