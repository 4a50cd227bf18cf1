"""What an attempt takes to the holdout: the child that passed the screen or, by a coin, a placebo.

Takes the lab and a cycle, gives the same answer whenever it is asked. Before the verdict only its commitment goes on
record; what reveals it is kept in the cycle's own folder, so that no contract or secret that changed meanwhile keeps a
cycle open, and is drawn again where that folder is not at hand.

Gates, decisions and the trainer's code do with a placebo what they do with any child, and no entry before the verdict
says or measures which it is. Who opens the bundle can tell: it holds the parent too, and nothing else is so near to it.
Who computes can tell: the manifest of the child that passed the screen has a digest. SECURITY.md says what follows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aams.canonical import canonical_json, digest, from_data, to_data
from aams.cycle.lab import Lab, proposed_specs, spec_file
from aams.dispatch import WORK, steps
from aams.errors import AamsError, Problem
from aams.files import read_bounded, write_whole
from aams.records import Interface, Mutation, Spec
from aams.strict import read_json
from compiler import spec as specs
from compiler.cost import estimate
from compiler.edit import edit
from domains import DOMAINS
from evolution.equivalence import disguise
from safety.events import Proposed, Revealed
from safety.lifecycle import Cycle
from safety.seal import is_placebo, salt_of, seal

SECRET_VARIABLE = "AAMS_ARBITER_SECRET"  # noqa: S105
"""Environment variable with what only the arbiter knows. Unset, the secret is public, and cycles are reproducible."""
CHILD = "child.yaml"
KEPT = "sealed.json"
MAX_KEPT_BYTES = 1024 * 1024
PUBLIC_SECRET = "AAMS local arbiter, version 1"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Sealed:
    """An attempt's child. `text` is its YAML; `mutations` say what was changed, a placebo's disguise included."""

    spec: Spec
    text: str
    mutations: tuple[Mutation, ...]
    placebo: bool
    salt: str

    @property
    def commitment(self) -> str:
        """What goes on record before it is trained."""
        return seal(self.salt, self.spec.id, self.placebo)

    def revealed(self, generation: str) -> Revealed:
        """What goes on record after its verdict."""
        return Revealed(generation, self.spec.id, self.placebo, self.salt)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A `Sealed` on disk; its spec is what its text says."""

    text: str
    mutations: tuple[Mutation, ...]
    placebo: bool
    salt: str


class SealError(AamsError):
    """What an attempt was sealed with can't be had any more, so that its child can't be revealed."""


def hand_over(lab: Lab, cycle: str, sealed: Sealed) -> None:
    """Lay an attempt's child where the proposer finds it, who must not know whether it is a placebo."""
    write_whole(handed_file(lab, cycle), sealed.text.encode())


def handed_over(lab: Lab, cycle: str) -> Spec:
    """The child that the arbiter handed over.

    Raises:
        AamsError: it is not on this machine, or not readable.
    """
    return specs.read(handed_file(lab, cycle))


def handed_file(lab: Lab, cycle: str) -> Path:
    """Where it lies."""
    return lab.root / WORK / cycle / CHILD


def arbiter_secret() -> bytes:
    """What the holdout and the placebos of this arbiter are drawn from."""
    return (os.environ.get(SECRET_VARIABLE) or PUBLIC_SECRET).encode()


def seal_child(lab: Lab, cycle: Cycle, interface: Interface) -> Sealed:
    """Choose the child of an attempt that is about to begin, and keep what will reveal it; its trials were screened."""
    secret = arbiter_secret()
    salt = salt_of(secret, cycle.id)
    tossed = is_placebo(secret, cycle.id, lab.contract.promotion.placebo_rate)
    sealed = (_placebo(lab, cycle, interface, salt) if tossed else None) or _screened(lab, cycle, salt)
    kept = _Kept(sealed.text, sealed.mutations, sealed.placebo, sealed.salt)
    write_whole(_kept_file(lab, cycle), canonical_json(to_data(kept)))
    return sealed


def sealed_child(lab: Lab, cycle: Cycle, interface: Interface) -> Sealed:
    """The child that an attempt was sealed with: as it was kept, or drawn again where it was sealed elsewhere.

    Neither asks how often the contract wants a placebo today: the commitment on record says which of two it was.

    Raises:
        SealError: nothing here has that commitment.
    """
    salt = salt_of(arbiter_secret(), cycle.id)
    ways: tuple[Callable[[], Sealed | None], ...] = (
        lambda: _read_kept(lab, cycle),
        lambda: _screened(lab, cycle, salt),
        lambda: _placebo(lab, cycle, interface, salt),
    )
    for way in ways:
        try:
            found = way()
        except AamsError:  # what it needs is gone or damaged
            continue
        if found and found.commitment == cycle.sealed:
            return found
    advice = f"bring back the {SECRET_VARIABLE} that it was sealed under, or close it: aams abandon {cycle.id}"
    raise SealError(Problem("can't be revealed: what it was sealed with is gone", cycle.sealed, advice, path=cycle.id))


def _screened(lab: Lab, cycle: Cycle, salt: str) -> Sealed:
    """The child that passed the screen."""
    proposed = (one for one in lab.facts(cycle.id) if isinstance(one, Proposed))
    child = next(child for one in proposed for child in one.children if child.spec == cycle.best)
    return Sealed(proposed_specs(lab, cycle.id)[cycle.best], child.text, child.mutations, False, salt)


def _placebo(lab: Lab, cycle: Cycle, interface: Interface, salt: str) -> Sealed | None:
    """The cycle's parent in disguise; None where no disguise can be found."""
    path = spec_file(lab, cycle.domain, cycle.opened.parent)
    parent = specs.read(path)
    planned = steps(estimate(parent.tree, interface), DOMAINS[cycle.domain].COMPUTE_FLOPS)
    found = disguise(parent, planned, Random(digest({"salt": salt})))
    if found is None:
        return None
    twin, mutation = found
    return Sealed(twin, edit(path.read_text(encoding="utf-8"), twin.tree), (mutation,), True, salt)


def _read_kept(lab: Lab, cycle: Cycle) -> Sealed | None:
    path = _kept_file(lab, cycle)
    if not path.exists():
        return None
    kept = from_data(_Kept, read_json(read_bounded(path, MAX_KEPT_BYTES), str(path), MAX_KEPT_BYTES), str(path))
    return Sealed(specs.parse(kept.text.encode(), str(path)), kept.text, kept.mutations, kept.placebo, kept.salt)


def _kept_file(lab: Lab, cycle: Cycle) -> Path:
    return lab.root / WORK / cycle.id / KEPT
