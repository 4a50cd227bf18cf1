"""Steps 6 and 7 again: the pairs that a cycle wants next, an attempt's or a re-challenge's.

Takes the lab and a cycle whose last entry asks for pairs, gives the dispatch. Needs nothing of what the arbiter knows:
it takes the child that the arbiter handed over, whichever that is.
"""

from __future__ import annotations

from aams.cycle.lab import CACHE, Lab, champion_spec, predecessor_spec
from aams.cycle.proposal import freeze
from aams.cycle.sealed import handed_over
from aams.dispatch import Dispatch, Plan, plan_runs
from aams.errors import failure
from aams.records import Spec
from compiler.cost import estimate
from domains import DOMAINS, prepare
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
    champion = lab.lineage(cycle.domain).champion
    if not wants_pairs(cycle) or due is None or champion is None:
        raise failure("wants no further bundle", name, "see how it stands with `aams status`")
    stage, batch = due
    prepared = prepare(cycle.domain, cycle.opened.corpus, cache=lab.root / CACHE)
    parent, child = _arms(lab, cycle)
    costs = {one.id: estimate(one.tree, prepared.interface) for one in (parent, child)}
    limits, compute = lab.contract.promotion, DOMAINS[cycle.domain].COMPUTE_FLOPS
    pairs = range(batch * limits.pairs_min, min((batch + 1) * limits.pairs_min, limits.pairs_max))
    plan = Plan(
        cycle=name,
        stage=stage,
        batch=batch,
        domain=cycle.domain,
        generation=cycle.generation,
        sealed=cycle.sealed,
        parent=cycle.opened.parent,
        parent_weights=champion.weights,
        specs=(parent, child),
        runs=plan_runs(stage, parent, [child], costs, compute, name, pairs),
        compute_flops=compute,
    )
    return freeze(lab, plan, prepared, costs)


def _arms(lab: Lab, cycle: Cycle) -> tuple[Spec, Spec]:
    """What the control trains and what the child does; the champion is the child of its own re-challenge."""
    champion = champion_spec(lab, cycle.domain)
    if cycle.generation:
        return champion, handed_over(lab, cycle.id)
    (before,) = predecessor_spec(lab, cycle.domain)
    return before, champion
