"""Steps 1 to 7: from the ledger to a frozen, packed bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aams import dispatch as dispatching
from aams import git
from aams.canonical import digest
from aams.cycle.lab import CACHE, Ended, Lab, Request, baseline, champion_spec, champion_text, for_champion
from aams.dispatch import Dispatch, Plan, plan_runs
from aams.errors import failure
from aams.files import write_whole
from aams.records import Child, Cost, Finding, Mutation, Spec, Stage
from aams.strict import path_text
from compiler import spec as specs
from compiler.cost import estimate
from compiler.edit import edit
from compiler.render import render
from compiler.smoke import smoke
from domains import DOMAINS, prepare
from domains.base import Prepared
from evolution.diff import diff
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from safety.events import Closed, Ending, Frozen, Opened, Proposed, ProposedChild, Refusal
from safety.gates import check_gates
from safety.gates.base import Proposal
from safety.manifest import manifest_digest
from safety.state import Cycle, Lineage

PARALLEL_RUNS = 2


@dataclass(frozen=True, slots=True)
class Preview:
    """What a cycle would try: children that the gates let pass, those they refused, and what each costs."""

    parent: Spec
    children: tuple[Child, ...]
    refused: Mapping[str, tuple[Finding, ...]]
    costs: Mapping[str, Cost]


def propose(lab: Lab, request: Request) -> Dispatch | Ended:
    """Steps 1 to 7: observe, check, mutate, gate, compile, freeze, bundle.

    Returns:
        The dispatch to train: of a root, of trials, or the one an interrupted cycle of the same seed left behind. Or
        how the cycle ended, when there was nothing to try.
    """
    # 1 observe, 2 eligible?
    resumed = _resume(lab, request)
    if resumed:
        return resumed
    domain = DOMAINS[request.domain]
    prepared = prepare(request.domain, cache=lab.root / CACHE)
    lineage = lab.lineage(request.domain)
    root = begins_lineage(lineage, prepared)
    parent = baseline(request.domain) if root else champion_spec(lab, request.domain)
    generation = "" if root or lineage.champion is None else lineage.champion.generation
    stage: Stage = "root" if root else "trial"

    # 3 mutate, 4 estimate and gate, 5 compile and try
    chosen = Preview(parent, (), {}, {parent.id: estimate(parent.tree, prepared.interface)})
    if not root:
        chosen = _choose(lab, request, lineage, parent, prepared)
    cycle = _name(lab, request, parent)
    commit = git.head_commit(lab.root) or ""
    lab.record(
        cycle,
        request.domain,
        Opened(request.seed, request.planner, request.trigger, generation, prepared.corpus_id, commit),
    )
    if not root:
        lab.record(cycle, request.domain, _proposed(lab, request, chosen))
        if not chosen.children:
            return end(
                lab,
                cycle,
                request.domain,
                "nothing-to-try",
                "the planner found no child that is new and passes the gates",
            )

    # 6 freeze, 7 bundle
    children = [child.spec for child in chosen.children]
    runs = plan_runs(
        stage, parent, children, chosen.costs, domain.COMPUTE_FLOPS, request.seed, lab.contract.promotion.pairs
    )
    weights = lineage.champion.weights if generation and lineage.champion else ""
    plan = Plan(cycle, stage, request.domain, generation, weights, (parent, *children), runs, domain.COMPUTE_FLOPS)
    return freeze(lab, plan, prepared)


def freeze(lab: Lab, plan: Plan, prepared: Prepared) -> Dispatch:
    """Freeze and pack a plan, and record its digest and nonce before anybody can train it."""
    dispatch = dispatching.dispatch(lab.root, plan, prepared, lab.contract)
    frozen = Frozen(
        plan.stage, manifest_digest(dispatch.manifest.inputs), dispatch.manifest.envelope.nonce, len(plan.runs)
    )
    lab.record(plan.cycle, plan.domain, frozen)
    return dispatch


def preview(lab: Lab, request: Request) -> Preview:
    """Steps 1 to 5 without a trace: what `propose` would try."""
    prepared = prepare(request.domain, cache=lab.root / CACHE)
    lineage = lab.lineage(request.domain)
    if begins_lineage(lineage, prepared):
        root = baseline(request.domain)
        return Preview(root, (), {}, {root.id: estimate(root.tree, prepared.interface)})
    return _choose(lab, request, lineage, champion_spec(lab, request.domain), prepared)


def begins_lineage(lineage: Lineage, prepared: Prepared) -> bool:
    """Whether the next cycle trains a root: the domain has no champion, or its corpus changed."""
    return lineage.champion is None or lineage.corpus != prepared.corpus_id


def end(lab: Lab, cycle: str, domain: str, outcome: Ending, reason: str, generation: str = "") -> Ended:
    """Close a cycle and tidy up after it."""
    lab.record(cycle, domain, Closed(outcome, reason))
    lab.settle()
    lab.clean(cycle)
    is_root = any(isinstance(facts, Opened) and not facts.parent for facts in lab.facts(cycle))
    return Ended(cycle, domain, outcome, reason, generation, is_root)


def _name(lab: Lab, request: Request, parent: Spec) -> str:
    """A cycle's id: the same for the same request in the same state."""
    earlier = sum(entry.event == "opened" and entry.domain == request.domain for entry, _ in lab.recorded)
    spec = specs.read(request.spec).id if request.spec else ""
    basis = {
        "domain": request.domain,
        "seed": request.seed,
        "parent": parent.id,
        "planner": request.planner,
        "spec": spec,
        "number": earlier,
    }
    return f"{request.domain}-{digest(basis)[:12]}"


def _resume(lab: Lab, request: Request) -> Dispatch | None:
    """Go on with what was interrupted, or close it: an open cycle of another request, or one whose files are gone."""
    for cycle in [cycle for cycle in lab.state().open_cycles.values() if cycle.domain == request.domain]:
        found = left_behind(lab, cycle)
        if found and (cycle.opened.seed, cycle.opened.planner) == (request.seed, request.planner):
            return found
        end(lab, cycle.id, cycle.domain, cycle.verdict or "abandoned", "it was interrupted", cycle.generation)
    return None


def left_behind(lab: Lab, cycle: Cycle) -> Dispatch | None:
    """The last dispatch of an open cycle, when it is whole on this machine and is the one in the ledger."""
    frozen = [facts for facts in lab.facts(cycle.id) if isinstance(facts, Frozen)]
    if not frozen:
        return None
    found = dispatching.find(lab.root, cycle.id, frozen[-1].stage)
    if found and (manifest_digest(found.manifest.inputs), found.manifest.envelope.nonce) == (
        frozen[-1].manifest,
        frozen[-1].nonce,
    ):
        return found
    return None


def _choose(lab: Lab, request: Request, lineage: Lineage, parent: Spec, prepared: Prepared) -> Preview:
    """Ask the planner, and let cost model, gates and smoke test judge every child it draws."""
    costs = {parent.id: estimate(parent.tree, prepared.interface)}
    refused: dict[str, tuple[Finding, ...]] = {}

    def admit(child: Spec) -> bool:
        costs[child.id] = estimate(child.tree, prepared.interface)
        findings = _findings(lab, request, lineage, parent, child, costs, prepared)
        if findings:
            refused[child.id] = findings
        return not findings

    if request.spec:
        children: tuple[Child, ...] = (_hand_made(request.spec, parent),)
        if not admit(children[0].spec):
            found = refused[children[0].spec.id][0]
            raise failure(f"gate {found.gate}: {found.what}", found.got, found.advice, file=str(request.spec))
    else:
        observation = Observation(parent, lineage.tried)
        rng = Random(digest({"domain": request.domain, "seed": request.seed, "parent": parent.id}))
        children = PLANNERS[request.planner].ask(observation, request.children, rng, admit)
    return Preview(parent, children, refused, costs)


def _hand_made(file: Path, parent: Spec) -> Child:
    one = specs.read(file)
    if one.domain != parent.domain:
        raise failure(f"is a {one.domain} spec", advice=f"run it with --domain {one.domain}", file=str(file))
    changes = tuple(
        Mutation("by-hand", path_text(change.path), change.before, change.after, "written by a person", 0.0)
        for change in diff(parent.tree, one.tree)
    )
    return Child(one, parent.id, "by-hand", changes, f"written by hand: {file.name}", 0.0)


def _findings(
    lab: Lab,
    request: Request,
    lineage: Lineage,
    parent: Spec,
    child: Spec,
    costs: Mapping[str, Cost],
    prepared: Prepared,
) -> tuple[Finding, ...]:
    compute = DOMAINS[request.domain].COMPUTE_FLOPS
    head = lineage.champion.spec if lineage.champion else ""
    proposal = Proposal(
        domain=request.domain,
        corpus=prepared.corpus_id,
        active_corpus=prepared.corpus_id,
        parent=parent.id,
        head=head,
        tried=lineage.tried,
        children=(child.id,),
        costs=costs,
        runs=plan_runs("attempt", parent, [child], costs, compute, request.seed, lab.contract.promotion.pairs),
        parallel_count=PARALLEL_RUNS,
    )
    findings = check_gates(proposal, lab.contract)
    if findings:
        return findings
    place = lab.root / CACHE / "smoke.py"
    write_whole(place, render(child, prepared.interface).encode("ascii"))
    return smoke(lab.worker.ask, place, child, prepared.interface, costs[child.id])


def _proposed(lab: Lab, request: Request, chosen: Preview) -> Proposed:
    children = [
        ProposedChild(
            spec=child.spec.id,
            text=_text(lab, request, child.spec),
            mutations=child.mutations,
            rationale=child.rationale,
            predicted_effect=child.predicted_effect,
            cost=chosen.costs[child.spec.id],
        )
        for child in chosen.children
    ]
    return Proposed(tuple(children), tuple(Refusal(spec, findings) for spec, findings in chosen.refused.items()))


def _text(lab: Lab, request: Request, child: Spec) -> str:
    """A child as YAML: the person's own file, or the champion's with only the changed lines changed."""
    if request.spec:
        return for_champion(request.spec.read_text(encoding="utf-8"), child.domain)
    return edit(champion_text(lab, child.domain), child.tree)
