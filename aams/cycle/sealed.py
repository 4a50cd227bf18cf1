"""What an attempt takes to the holdout: the child that passed the screen or, by a coin, a placebo.

Takes the lab and a cycle, gives the same answer whenever it is asked, so that nothing about it need be written down
before the verdict but its commitment. Neither the bundle, nor the gates, nor the ledger alone say which of the two it
is; who holds the bundle against the ledger can tell.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aams.canonical import digest
from aams.cycle.lab import Lab, champion_spec, champion_text, proposed_specs
from aams.dispatch import WORK, steps
from aams.files import write_whole
from aams.records import Interface, Mutation, Spec
from compiler import spec as specs
from compiler.cost import estimate
from compiler.edit import edit
from domains import DOMAINS
from evolution.equivalence import disguise
from safety.events import Proposed, Revealed, Screened
from safety.seal import is_placebo, salt_of, seal

SECRET_VARIABLE = "AAMS_ARBITER_SECRET"  # noqa: S105
"""Environment variable with what only the arbiter knows. Unset, the secret is public, and cycles are reproducible."""
CHILD = "child.yaml"
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


def sealed_child(lab: Lab, cycle: str, domain: str, interface: Interface) -> Sealed:
    """The child of a cycle's attempt; its trials must have been screened."""
    secret = arbiter_secret()
    salt = salt_of(secret, cycle)
    if is_placebo(secret, cycle, lab.contract.promotion.placebo_rate):
        parent = champion_spec(lab, domain)
        planned = steps(estimate(parent.tree, interface), DOMAINS[domain].COMPUTE_FLOPS)
        found = disguise(parent, planned, Random(digest({"salt": salt})))
        if found:
            twin, mutation = found
            return Sealed(twin, edit(champion_text(lab, domain), twin.tree), (mutation,), True, salt)
    facts = lab.facts(cycle)
    best = next(one.best for one in facts if isinstance(one, Screened))
    child = next(child for one in facts if isinstance(one, Proposed) for child in one.children if child.spec == best)
    return Sealed(proposed_specs(lab, cycle)[best], child.text, child.mutations, False, salt)
