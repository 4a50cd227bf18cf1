"""What a bundle of a cycle trains, as the ledger and this checkout have it: who freezes it and who judges it ask alike.

Takes the lab, a cycle and its domain's data, gives the plan, or the manifest's inputs that come of it. So a bundle that
somebody else froze, or that was frozen before something changed, can be told from the one that belongs to the cycle.
"""

from __future__ import annotations

from collections.abc import Collection

from aams import bundle
from aams.canonical import to_data
from aams.cycle.lab import CACHE, Lab, baseline, proposed_specs, spec_file
from aams.dispatch import Plan, declare, plan_runs
from aams.errors import failure
from aams.records import Cost, Finding, Inputs, Spec, Stage
from compiler import spec as specs
from compiler.cost import estimate
from domains import DOMAINS, find_corpus, prepare
from domains.base import Prepared
from safety.archive import archived_manifest
from safety.events import Frozen
from safety.gates.data import check_corpus
from safety.lifecycle import Cycle
from safety.lineage import Generation

MADE_HERE = ("digests", "files")
"""Parts of a manifest's inputs that are made from this checkout's files; all others follow from the ledger."""


def plan_of(
    lab: Lab, cycle: Cycle, stage: Stage, batch: int, prepared: Prepared, child: Spec | None = None
) -> tuple[Plan, dict[str, Cost]]:
    """One bundle of a cycle, and what its specs cost.

    Args:
        child: of an attempt: what the arbiter handed over; other stages have theirs from the ledger.
    """
    parent, children = _arms(lab, cycle, stage, child)
    costs = {one.id: estimate(one.tree, prepared.interface) for one in (parent, *children)}
    compute, size = DOMAINS[cycle.domain].COMPUTE_FLOPS, lab.contract.promotion.pairs_min
    pairs = range(batch * size, min((batch + 1) * size, lab.contract.promotion.pairs_max))
    champion = _named(lab, cycle.domain, cycle.opened.parent)
    is_judged = stage in ("root", "attempt")
    plan = Plan(
        cycle=cycle.id,
        stage=stage,
        batch=batch,
        domain=cycle.domain,
        generation=cycle.generation if is_judged else "",
        sealed=cycle.sealed if is_judged else "",
        parent=cycle.opened.parent,
        parent_weights=champion.weights if champion else "",
        specs=(parent, *children),
        runs=plan_runs(stage, parent, children, costs, compute, cycle.id, pairs),
        compute_flops=compute,
    )
    return plan, costs


def check_frozen(lab: Lab, plan: Plan, frozen: Inputs, prepared: Prepared, but: Collection[str] = ()) -> None:
    """See that a bundle was frozen with exactly what this checkout would freeze a plan with.

    Args:
        but: names of digests that may differ.

    Raises:
        AamsError: it was not, naming the first thing that differs; or its data was never to be trained on.
    """
    for found in _against_data(lab, plan, prepared):
        raise failure(f"gate {found.gate}: {found.what}", found.got, found.advice, path=found.subject)
    files = bundle.contents(plan.specs, prepared.interface, prepared.arrays)
    got, wanted = to_data(frozen), to_data(declare(plan, prepared, lab.contract, files))
    advice = f"restore it, or close the cycle: aams abandon {plan.cycle}"
    for part in MADE_HERE:
        for name in sorted((got[part].keys() | wanted[part].keys()) - set(but)):
            if got[part].get(name) != wanted[part].get(name):
                raise failure("changed after the freeze", wanted[part].get(name, "nothing"), advice, path=name)
    for part in wanted:
        if part not in MADE_HERE and got[part] != wanted[part]:
            raise failure("is not what this cycle was to train", str(got[part])[:200], advice, path=part)


def _against_data(lab: Lab, plan: Plan, prepared: Prepared) -> tuple[Finding, ...]:
    """What the contract has against a bundle's corpus; only a root has to begin on the active one."""
    corpus = find_corpus(plan.domain, prepared.corpus_id)
    active = find_corpus(plan.domain).id if plan.stage == "root" else corpus.id
    return check_corpus(plan.domain, corpus.id, corpus.source, active, lab.contract)


def check_archived(lab: Lab, cycle: Cycle) -> None:
    """See that a generation's verdict rests on bundles that this checkout would freeze for it still.

    Locks of libraries may move on: the environment that was trained in is on record.

    Raises:
        AamsError: one was frozen with something else, naming it, or is not in the archive.
    """
    archived = spec_file(lab, cycle.domain, cycle.generation)
    child = specs.read(archived)
    prepared = prepare(cycle.domain, cycle.opened.corpus, cache=lab.root / CACHE)
    for frozen in [one for one in lab.facts(cycle.id) if isinstance(one, Frozen) and one.stage != "trial"]:
        inputs = archived_manifest(archived.parent, frozen).inputs
        plan, _ = plan_of(lab, cycle, frozen.stage, frozen.batch, prepared, child)
        check_frozen(lab, plan, inputs, prepared, but=("lock",))


def _arms(lab: Lab, cycle: Cycle, stage: Stage, child: Spec | None) -> tuple[Spec, list[Spec]]:
    """What the controls of a stage train, and what its children do; a root is its own parent."""
    if stage == "root":
        return baseline(cycle.domain), []
    parent = _archived(lab, cycle.domain, cycle.opened.parent)
    if stage == "trial":
        return parent, list(proposed_specs(lab, cycle.id).values())
    if stage == "rechallenge":  # the champion is the child, and what it replaced is its control
        champion = _named(lab, cycle.domain, cycle.opened.parent)
        return _archived(lab, cycle.domain, champion.parent if champion else ""), [parent]
    return parent, [child] if child else []


def _archived(lab: Lab, domain: str, generation: str) -> Spec:
    return specs.read(spec_file(lab, domain, generation))


def _named(lab: Lab, domain: str, name: str) -> Generation | None:
    return next((one for one in lab.lineage(domain).generations if one.name == name), None)
