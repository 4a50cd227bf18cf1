"""Steps 6 and 7 again: the pairs that a cycle wants next, an attempt's or a re-challenge's.

Takes the lab and a cycle whose last entry asks for pairs, gives the dispatch. Needs nothing of what the arbiter knows:
it takes the child that the arbiter handed over, whichever that is.
"""

from __future__ import annotations

from aams.cycle.lab import CACHE, Lab
from aams.cycle.planned import plan_of
from aams.cycle.proposal import freeze
from aams.cycle.sealed import handed_over
from aams.dispatch import Dispatch
from aams.errors import failure
from domains import prepare
from safety.lifecycle import Cycle, due_bundle


def wants_pairs(cycle: Cycle) -> bool:
    """Whether a cycle waits for its next pairs to be frozen."""
    due = due_bundle(cycle)
    return due is not None and due[0] in ("attempt", "rechallenge")


def proceed(lab: Lab, name: str) -> Dispatch:
    """Freeze the next pairs of a cycle that wants them.

    Raises:
        AamsError: it does not, or the arbiter's child is not on this machine.
    """
    cycle = lab.state.open_cycles[name]
    due = due_bundle(cycle)
    if not wants_pairs(cycle) or due is None:
        raise failure("wants no further bundle", name, "see how it stands with `aams status`")
    stage, batch = due
    prepared = prepare(cycle.domain, cycle.opened.corpus, cache=lab.root / CACHE)
    child = handed_over(lab, name) if stage == "attempt" else None
    return freeze(lab, *plan_of(lab, cycle, stage, batch, prepared, child), prepared)
