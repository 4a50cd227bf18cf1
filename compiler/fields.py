"""What a spec may hold: the kinds of field that declarations are made of.

A grammar and every op are tuples of these. The reader, the canonical form, the JSON Schema, the cost model and the
mutators all walk them, so that a field is declared once and known everywhere. They carry no behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Tree: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Required:
    """The field has no default and must be written."""


@dataclass(frozen=True, slots=True)
class Same:
    """The default is the value of another field of the same mapping, one that is declared earlier."""

    field: str


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number in [low, high], a multiple of `multiple`. Default None means: absent is off."""

    name: str
    low: int
    high: int
    default: int | Same | _Required | None = REQUIRED
    multiple: int = 1
    about: str = ""


@dataclass(frozen=True, slots=True)
class Float:
    """A finite number in [low, high]. Default None means: absent is off."""

    name: str
    low: float
    high: float
    default: float | _Required | None = REQUIRED
    about: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few names."""

    name: str
    options: tuple[str, ...]
    default: str | _Required = REQUIRED
    about: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    name: str
    default: bool | _Required = REQUIRED
    about: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """An op of one kind: `{op: name, …its parameters}`."""

    name: str
    kind: str
    default: Mapping[str, Any] | _Required = REQUIRED
    about: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A mapping with exactly these fields."""

    name: str
    fields: tuple[Field, ...]
    about: str = ""


@dataclass(frozen=True, slots=True)
class Many:
    """An ordered list of low to high mappings, each with the item's fields."""

    name: str
    item: Group
    low: int
    high: int
    about: str = ""


Leaf: TypeAlias = Int | Float | Choice | Flag
Field: TypeAlias = Int | Float | Choice | Flag | Slot | Group | Many


@dataclass(frozen=True, slots=True)
class Place:
    """Where an op stands: what flows into it, and what it can know of its surroundings. Unused numbers are 0.

    Attributes:
        width: features of a token, or channels of a feature map.
        tokens: longest sequence.
        rows, columns: size of a feature map.
        target: channels a vision block must give, features a fusion must.
        stride: by how much a vision block shrinks rows and columns.
        depth: blocks of the sequence that a fusion joins.
        classes: outputs of a head.
        position: the position op of a sequence, full form.
        norm: the norm op a vision block uses inside, full form.
    """

    width: int
    tokens: int = 0
    rows: int = 0
    columns: int = 0
    target: int = 0
    stride: int = 1
    depth: int = 0
    classes: int = 0
    position: Tree | None = None
    norm: Tree | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """A rule between values that a schema can't say. `field` names one of the op's own fields."""

    field: str
    what: str
    advice: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What one part costs for one item; `compiler.tally` adds them up.

    Attributes:
        parameters: trainable numbers.
        forward_flops: matrix products, convolutions and attention; a multiply-add counts two.
        backward_flops: the same for the backward pass.
        activations: numbers kept for the backward pass.
        matrices: shapes of hidden weight matrices (rows, columns) and how many of each: what Muon works on.
    """

    parameters: int = 0
    forward_flops: int = 0
    backward_flops: int = 0
    activations: int = 0
    matrices: tuple[tuple[int, int, int], ...] = ()


def _no_misfits(params: Tree, place: Place) -> Iterator[Misfit]:
    return iter(())


def _same_place(params: Tree, place: Place) -> Place:
    return place


def _nothing(params: Tree, place: Place) -> Mapping[str, Any]:
    return {}


def _as_written(params: Tree, place: Place) -> Tree:
    return params


def _no_norms(params: Tree, place: Place) -> Iterator[Place]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Op:
    """One building block: what a spec may say about it, what it costs, and how its code is called.

    The template `ops/<name>.py.j2` stands beside the declaration and renders one class. Numbers are arguments of the
    class, choices are code: a template looks at `op` only for flags, choices and whether an optional number is set.

    Attributes:
        name: how a spec names it.
        kind: the slots it fits.
        class_name: name of the rendered class.
        about: one line for schemas and docs.
        paper: where it comes from.
        fields: its parameters.
        cost: what it costs at a place, from full parameters.
        check: rules between its parameters and its place.
        out: what flows out of it.
        arguments: keyword arguments of the class, beyond the leading ones that its kind gives.
        uses: ops its class builds inside, as variable name to (kind, full tree); their classes are rendered first.
        simplify: drops or rewrites what has no effect at this place, so that equal functions share an id.
        norms: everywhere it applies the norm of its place, which is costed and checked there, not by the op.
    """

    name: str
    kind: str
    class_name: str
    about: str
    paper: str
    fields: tuple[Field, ...]
    cost: Callable[[Tree, Place], Tally]
    check: Callable[[Tree, Place], Iterator[Misfit]] = _no_misfits
    out: Callable[[Tree, Place], Place] = _same_place
    arguments: Callable[[Tree, Place], Mapping[str, Any]] = _nothing
    uses: Callable[[Tree, Place], Mapping[str, tuple[str, Tree]]] = _nothing
    simplify: Callable[[Tree, Place], Tree] = _as_written
    norms: Callable[[Tree, Place], Iterator[Place]] = _no_norms
