"""Steps 1 to 7: from the ledger to a frozen, packed bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from aams import dispatch as dispatching
from aams import git
from aams.canonical import digest
from aams.cycle.desk import left_behind
from aams.cycle.lab import CACHE, PERSON, Ended, Lab, Request, baseline, champion_spec, champion_text, for_champion
from aams.cycle.planned import plan_of
from aams.cycle.signing import can_sign, expiry, signed
from aams.cycle.verdict import abandon
from aams.dispatch import Dispatch, Plan, pairs_flops, plan_runs, reserved_flops
from aams.errors import AamsError, Problem, failure
from aams.files import read_bounded, write_whole
from aams.lanes.local import PARALLEL_RUNS
from aams.records import Child, Cost, Envelope, Finding, Inputs, Mutation, Run, Spec, Stage
from aams.strict import MAX_YAML_BYTES, path_text
from compiler import spec as specs
from compiler.cost import estimate
from compiler.edit import edit
from compiler.render import render
from compiler.smoke import smoke
from domains import DOMAINS, find_corpus, prepare
from domains.base import Prepared
from evolution.diff import diff
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from safety.clock import utc_now
from safety.eligibility import holder, may_propose, month_left, within_month
from safety.events import Attempted, Frozen, Opened, Proposed, ProposedChild, Refusal, Signed
from safety.gates import check_gates
from safety.gates.base import Proposal
from safety.lifecycle import Cycle, is_accepted
from safety.lineage import Lineage
from safety.manifest import manifest_digest, new_nonce

ELSEWHERE = "propose"
"""Trigger of a cycle whose bundle is trained by somebody else than the command that opened it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a cycle would try: children that the gates let pass, those they refused, and what each costs."""

    parent: Spec
    children: tuple[Child, ...]
    refused: Mapping[str, tuple[Finding, ...]]
    costs: Mapping[str, Cost]
    is_root: bool = False


@dataclass(frozen=True, slots=True)
class HandMade:
    """A person's spec, read once: what was checked is what is recorded."""

    name: str
    text: str
    spec: Spec


def propose(lab: Lab, request: Request) -> Dispatch | Ended:
    """Steps 1 to 7: observe, check, mutate, gate, compile, freeze, bundle.

    Returns:
        The dispatch to train: of a root, of trials, or the one an interrupted cycle of the same seed left behind. Or
        how the cycle ended, when there was nothing to try.
    """
    # 1 observe, 2 eligible?
    hand_made = _read_hand_made(request)
    begun = _resume(lab, request, hand_made)
    if isinstance(begun, Dispatch):
        return begun
    if begun is None:
        _check_eligible(lab, request)
    _ = lab.worker  # imports torch while the children are made
    domain = DOMAINS[request.domain]
    prepared = prepare(request.domain, cache=lab.root / CACHE)
    lineage = lab.lineage(request.domain)
    root = begins_lineage(lineage, prepared)
    held = holder(lab.state, request.domain)
    if root and held and begun is None:
        raise _held(held)
    parent = baseline(request.domain) if root else champion_spec(lab, request.domain)
    champion = None if root else lineage.champion
    stage: Stage = "root" if root else "trial"
    cycle = begun.id if begun else _name(lab, request, parent, hand_made)

    # 3 mutate, 4 estimate and gate, 5 compile and try
    chosen = _choose(lab, request, lineage, parent, prepared, hand_made, root)
    children = [child.spec for child in chosen.children]
    pairs = range(lab.contract.promotion.pairs_min)
    runs = plan_runs(stage, parent, children, chosen.costs, domain.COMPUTE_FLOPS, cycle, pairs)
    _check_whole(lab, chosen, _proposal(lab, lineage, parent, children, chosen.costs, prepared, runs))
    opened = Opened(
        seed=request.seed,
        planner=request.planner,
        trigger=request.trigger,
        parent=champion.generation if champion else "",
        corpus=prepared.corpus_id,
        request=_request_digest(request, hand_made),
        commit=git.head_commit(lab.root) or "",
    )
    first = Attempted(lineage.next_generation, sealed="") if root else _proposed(lab, chosen, hand_made)
    if begun and not _goes_on(lab, begun, opened, first):
        abandon(lab, begun.id)
        return propose(lab, request)
    if begun is None:
        lab.record(cycle, request.domain, opened)
    if begun is None or begun.event == "opened":
        lab.record(cycle, request.domain, first)
    if not root and not children:
        return lab.end(cycle, "nothing-to-try", _why_nothing(chosen))

    # 6 freeze, 7 bundle
    return freeze(lab, *plan_of(lab, lab.state.open_cycles[cycle], stage, 0, prepared), prepared)


def freeze(lab: Lab, plan: Plan, costs: Mapping[str, Cost], prepared: Prepared) -> Dispatch:
    """Freeze, sign and pack a plan; record its digest, its nonce and its compute before anybody can train it.

    Raises:
        AamsError: less is left of the month's compute than it takes; nothing is recorded.
    """
    reserved, at = reserved_flops(plan.stage, plan.runs, costs, plan.compute_flops), lab.time(plan.cycle)
    _refuse(within_month(lab.state, lab.contract, reserved, at))
    proposer: Signed | None = None

    def seal(inputs: Inputs) -> Envelope:
        nonlocal proposer
        if can_sign(lab, "propose"):
            stated = manifest_digest(inputs)
            proposer = signed(lab, "propose", plan.cycle, plan.domain, plan.generation, stated, "", at)
        return Envelope(new_nonce(), at, expiry(lab.contract, at), proposer.signature if proposer else "")

    dispatch = dispatching.dispatch(lab.root, plan, prepared, lab.contract, seal)
    manifest = dispatch.manifest
    frozen = Frozen(
        stage=plan.stage,
        batch=plan.batch,
        manifest=manifest_digest(manifest.inputs),
        nonce=manifest.envelope.nonce,
        runs=len(plan.runs),
        reserved_flops=reserved,
        proposer=proposer,
    )
    lab.record(plan.cycle, plan.domain, frozen, at)
    return dispatch


def preview(lab: Lab, request: Request) -> Preview:
    """Steps 1 to 5 without an entry: what `propose` would try. A hand-made child may precede the root."""
    prepared = prepare(request.domain, cache=lab.root / CACHE)
    lineage = lab.lineage(request.domain)
    root = begins_lineage(lineage, prepared)
    parent = baseline(request.domain) if root else champion_spec(lab, request.domain)
    hand_made = _read_hand_made(request)
    return _choose(lab, request, lineage, parent, prepared, hand_made, root and hand_made is None)


def begins_lineage(lineage: Lineage, prepared: Prepared) -> bool:
    """Whether the next cycle trains a root: the domain has no champion, or its corpus changed."""
    return lineage.champion is None or lineage.corpus != prepared.corpus_id


def needed_flops(lab: Lab, request: Request) -> int:
    """Training FLOPs that a cycle may come to, its attempt included."""
    compute = DOMAINS[request.domain].COMPUTE_FLOPS
    return (request.children + dispatching.TRIAL_CONTROLS) * compute + pairs_flops(lab.contract, compute)


def _check_eligible(lab: Lab, request: Request) -> None:
    """See that a cycle may begin: its trials, and its attempt if it comes to one.

    Raises:
        AamsError: with every precondition that is missing, in numbers.
    """
    needed = needed_flops(lab, request)
    _refuse(may_propose(lab.state, lab.contract, request.domain, request.trigger, needed, utc_now()))


def _refuse(findings: Sequence[Finding]) -> None:
    """Raise what was found, if anything was."""
    if findings:
        raise AamsError(*(Problem(found.what, found.got, found.advice, path=found.subject) for found in findings))


def _name(lab: Lab, request: Request, parent: Spec, hand_made: HandMade | None) -> str:
    """A cycle's id: the same for the same request in the same state."""
    earlier = sum(entry.event == "opened" and entry.domain == request.domain for entry, _ in lab.recorded)
    basis = {"request": _request_digest(request, hand_made), "parent": parent.id, "number": earlier}
    return f"{request.domain}-{digest(basis)[:12]}"


def _request_digest(request: Request, hand_made: HandMade | None) -> str:
    spec = hand_made.text if hand_made else ""
    return digest([request.domain, request.seed, request.children, request.planner, spec])


def _resume(lab: Lab, request: Request, hand_made: HandMade | None) -> Dispatch | Cycle | None:
    """Go on with what the same command left open; close what another command of this machine left open.

    A generation that waits for the second key is no reason not to explore, but a person who is here decides it first.

    Returns:
        The dispatch that it left, or its cycle when it never froze one.

    Raises:
        AamsError: a cycle of this domain waits for results from elsewhere, or for this person.
    """
    for cycle in [cycle for cycle in lab.state.open_cycles.values() if cycle.domain == request.domain]:
        found = left_behind(lab, cycle)
        if cycle.opened.request == _request_digest(request, hand_made) and (found or not cycle.stage):
            return found or cycle
        if cycle.phase == "COMMIT":
            abandon(lab, cycle.id)
            continue
        if cycle.opened.parent and is_accepted(cycle) and request.trigger != PERSON:
            continue
        if cycle.recalled or cycle.verdict == "accepted":
            raise _held(cycle)
        if cycle.opened.trigger == ELSEWHERE and cycle.stage:
            advice = f"bring them with `aams ingest {cycle.id} FOLDER`, or close it with `aams abandon {cycle.id}`"
            raise failure("a cycle of this domain waits for its results", cycle.id, advice)
        abandon(lab, cycle.id)
    return None


def _held(cycle: Cycle) -> AamsError:
    name = cycle.recalled or cycle.generation
    advice = f"`aams approve {name} --domain {cycle.domain}`, or `aams decline {name} --domain {cycle.domain}`"
    return failure("a generation of this domain waits for the second key", name, advice)


def _goes_on(lab: Lab, begun: Cycle, opened: Opened, first: Attempted | Proposed) -> bool:
    """Whether an interrupted cycle would record today what it has recorded."""
    if replace(opened, commit=begun.opened.commit) != begun.opened:
        return False
    return begun.event == "opened" or bool(begun.generation) or first in lab.facts(begun.id)


def _choose(
    lab: Lab,
    request: Request,
    lineage: Lineage,
    parent: Spec,
    prepared: Prepared,
    hand_made: HandMade | None,
    root: bool,
) -> Preview:
    """Ask the planner, and let cost model, gates and smoke test judge every child; a root has none."""
    costs = {parent.id: estimate(parent.tree, prepared.interface)}
    refused: dict[str, tuple[Finding, ...]] = {}

    def admit(child: Spec) -> bool:
        costs[child.id] = estimate(child.tree, prepared.interface)
        pairs, compute = range(lab.contract.promotion.pairs_max), DOMAINS[request.domain].COMPUTE_FLOPS
        runs = plan_runs("attempt", parent, [child], costs, compute, "", pairs)
        findings = check_gates(_proposal(lab, lineage, parent, [child], costs, prepared, runs), lab.contract)
        findings = findings or _try(lab, child, costs[child.id], prepared)
        if findings:
            refused[child.id] = findings
        return not findings

    if root:
        return Preview(parent, (), {}, costs, is_root=True)
    if hand_made:
        child = _child_by_hand(hand_made, parent)
        return Preview(parent, (child,) if admit(child.spec) else (), refused, costs)
    observation = Observation(parent, lineage.tried)
    rng = Random(digest({"domain": request.domain, "seed": request.seed, "parent": parent.id}))
    children = PLANNERS[request.planner].ask(observation, request.children, rng, admit)
    return Preview(parent, children, refused, costs)


def _proposal(
    lab: Lab,
    lineage: Lineage,
    parent: Spec,
    children: Sequence[Spec],
    costs: Mapping[str, Cost],
    prepared: Prepared,
    runs: tuple[Run, ...],
) -> Proposal:
    """What the gates are shown; a root follows no champion, none of this corpus at least."""
    champion = None if begins_lineage(lineage, prepared) else lineage.champion
    return Proposal(
        domain=parent.domain,
        corpus=prepared.corpus_id,
        source=find_corpus(parent.domain, prepared.corpus_id).source,
        active_corpus=find_corpus(parent.domain).id,
        parent=parent.id if champion else "",
        head=champion.spec if champion else "",
        tried=lineage.tried,
        children=tuple(child.id for child in children),
        costs=costs,
        runs=runs,
        compute_flops=DOMAINS[parent.domain].COMPUTE_FLOPS,
        damaged=lab.damage(parent.domain, champion.generation) if champion else "",
        month_flops_left=month_left(lab.state, lab.contract, utc_now()),
        parallel_count=PARALLEL_RUNS,
    )


def _check_whole(lab: Lab, chosen: Preview, proposal: Proposal) -> None:
    """Hold a root, or all children together, against the gates: each passed them alone, the bundle may not.

    Raises:
        AamsError: a gate refuses the bundle.
    """
    findings = check_gates(proposal, lab.contract) if chosen.is_root or chosen.children else ()
    if findings:
        found = findings[0]
        raise failure(f"gate {found.gate}: {found.what}", found.got, found.advice, path=found.subject)


def _try(lab: Lab, child: Spec, cost: Cost, prepared: Prepared) -> tuple[Finding, ...]:
    place = lab.root / CACHE / "smoke.py"
    write_whole(place, render(child, prepared.interface).encode("ascii"))
    return smoke(lab.worker.ask, place, child, prepared.interface, cost)


def _why_nothing(chosen: Preview) -> str:
    findings = [finding for found in chosen.refused.values() for finding in found]
    if not findings:
        return "the planner found no child that is new"
    return f"no child passed the gates; the first refusal is by {findings[0].gate}: {findings[0].what}"


def _read_hand_made(request: Request) -> HandMade | None:
    if request.spec is None:
        return None
    content = read_bounded(request.spec, MAX_YAML_BYTES)
    one = specs.parse(content, str(request.spec))
    if one.domain != request.domain:
        raise failure(f"is a {one.domain} spec", advice=f"run it with --domain {one.domain}", file=str(request.spec))
    return HandMade(request.spec.name, content.decode("utf-8"), one)


def _child_by_hand(hand_made: HandMade, parent: Spec) -> Child:
    changes = tuple(
        Mutation("by-hand", path_text(change.path), change.before, change.after, "written by a person", 0.0)
        for change in diff(parent.tree, hand_made.spec.tree)
    )
    return Child(hand_made.spec, parent.id, "by-hand", changes, f"written by hand: {hand_made.name}", 0.0)


def _proposed(lab: Lab, chosen: Preview, hand_made: HandMade | None) -> Proposed:
    children = [
        ProposedChild(
            spec=child.spec.id,
            text=_text(lab, child.spec, hand_made),
            tree=child.spec.tree,
            mutations=child.mutations,
            rationale=child.rationale,
            predicted_effect=child.predicted_effect,
            cost=chosen.costs[child.spec.id],
        )
        for child in chosen.children
    ]
    return Proposed(tuple(children), tuple(Refusal(spec, findings) for spec, findings in chosen.refused.items()))


def _text(lab: Lab, child: Spec, hand_made: HandMade | None) -> str:
    """A child as YAML: the person's own file, or the champion's with only the changed lines changed."""
    if hand_made:
        return for_champion(hand_made.text, child.domain)
    return edit(champion_text(lab, child.domain), child.tree)
