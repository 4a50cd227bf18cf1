"""Step 12: a decision becomes a generation's archive and a verdict in the ledger; then the cycle is concluded.

Takes what is known of an attempt, gives how its cycle ended or that it waits. An attempt that never came to a decision
gets its archive and its verdict here too: every generation ends with both.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from aams.canonical import sha256
from aams.cycle.approval import approve, conclude, decline, reveal
from aams.cycle.desk import Desk, kept_results, left_behind, set_up
from aams.cycle.lab import Ended, Lab, baseline_text
from aams.cycle.sealed import SealError, sealed_child
from aams.errors import AamsError, failure
from aams.files import read_bounded
from aams.generation import Attempt, artifacts
from aams.records import Decision, Evidence, Manifest, Mutation
from aams.strict import MAX_YAML_BYTES
from domains import find_corpus
from evaluator import arbiter
from evaluator.recount import first_weights, law_violations, verdict_of
from evaluator.report import Dossier
from evaluator.results import Environment
from safety.archive import archive_generation, generation_path
from safety.contract import CONTRACT_PATH
from safety.events import Ending, Frozen, Trained
from safety.lifecycle import Cycle
from safety.manifest import manifest_digest, read_manifest


def pronounce(desk: Desk, evidence: Evidence | None, decision: Decision, environment: Environment | None) -> Ended:
    """Archive a generation, record its verdict, and conclude its cycle.

    Args:
        evidence: None when the child could not be scored.
        environment: what its last bundle was trained in; None when it never came back.
    """
    lab, inputs = desk.lab, desk.dispatch.manifest.inputs
    name = inputs.generation
    generation = next(one for one in lab.lineage(inputs.domain).generations if one.name == name)
    run = next(run for run in inputs.runs if run.arm != "control")
    own = desk.specs[run.spec]
    place = generation_path(lab.root, inputs.domain, generation.directory)
    if place.exists():  # left by a killed command: without a verdict it never counted
        shutil.rmtree(place)
    facts = lab.facts(inputs.cycle)
    trained = [one for one in facts if isinstance(one, Trained) and one.stage != "trial"]
    weights = first_weights(facts)
    cycle = lab.state.open_cycles[inputs.cycle]
    sealed = sealed_child(lab, cycle, desk.prepared.interface) if inputs.sealed else None
    mutations = sealed.mutations if sealed else ()
    isolation = trained[-1].isolation if trained else "none"
    attempt = Attempt(
        spec=own,
        text=sealed.text if sealed else baseline_text(inputs.domain),
        interface=desk.prepared.interface,
        manifests=_manifests(desk),
        trained=tuple(trained),
        reported={run.name: run for one in trained for run in kept_results(_work(desk, one), one)},
        environment=environment,
        dossier=_dossier(desk, own.id, mutations, evidence, decision, isolation),
        time=generation.directory.partition("-")[2],
        contract=_contract_in_force(lab),
    )
    archive = archive_generation(lab.root, inputs.domain, generation.directory, artifacts(attempt), weights)
    verdict = verdict_of(name, own.id, facts, evidence, decision, archive)
    lab.record(inputs.cycle, inputs.domain, verdict)
    return conclude(lab, lab.state.open_cycles[inputs.cycle])


def _contract_in_force(lab: Lab) -> bytes:
    content = read_bounded(lab.root / CONTRACT_PATH, MAX_YAML_BYTES)
    if sha256(content) != lab.contract.digest:
        raise failure("changed while a decision was made by it", advice="run the command again", file=CONTRACT_PATH)
    return content


def is_the_arbiters(desk: Desk) -> bool:
    """Whether an attempt trained the child that the arbiter handed over; somebody between may have put in another.

    Raises:
        SealError: nobody can say any more which child that was.
    """
    inputs = desk.dispatch.manifest.inputs
    if inputs.stage != "attempt":
        return True
    cycle = desk.lab.state.open_cycles[inputs.cycle]
    return sealed_child(desk.lab, cycle, desk.prepared.interface).spec.id in desk.specs


def abandon(lab: Lab, cycle: str) -> Ended:
    """Close an open cycle at a person's wish; one that has its verdict is concluded, or declined.

    Raises:
        AamsError: there is no such open cycle.
    """
    found = lab.state.open_cycles.get(cycle)
    if found is None:
        raise failure("no such open cycle", cycle, "`aams log` lists the cycles")
    if found.phase == "COMMIT":
        return approve(lab, found.domain, found.recalled or found.generation)
    shown = _shown(lab, found)
    if shown and (shown.recalled or (shown.verdict == "accepted" and not shown.placebo)):
        return decline(lab, found.domain, found.recalled or found.generation, "it was abandoned")
    if shown and shown.verdict:
        return conclude(lab, shown)
    return break_off(lab, found, "abandoned", "it was not brought to its end")


def break_off(lab: Lab, cycle: Cycle, outcome: Ending, reason: str) -> Ended:
    """Close a cycle that was not brought to its end: an attempt is rejected and archived, as far as this machine can.

    Args:
        outcome: how a cycle closes that has no attempt, or whose bundle is not on this machine.
    """
    shown = _shown(lab, cycle)
    if shown is None:
        return lab.end(cycle.id, "expired", f"{reason}, and what it was sealed with is gone")
    if shown.verdict == "rejected" or shown.placebo:
        return conclude(lab, shown)
    if shown.verdict or shown.recalled:
        return lab.end(cycle.id, outcome, reason)
    dispatch = left_behind(lab, cycle) if cycle.generation else None
    if dispatch is None or dispatch.stage == "trial":
        return lab.end(cycle.id, outcome, reason)
    try:
        desk = set_up(lab, dispatch)
        ours = is_the_arbiters(desk)
    except AamsError:  # what was frozen, or sealed, is no longer here: there is nothing to archive it with
        ours = False
    if not ours:
        return lab.end(cycle.id, outcome, reason)
    violations = law_violations(lab.facts(cycle.id))
    return pronounce(desk, None, arbiter.refuse(lab.contract, violations, reason), None)


def _shown(lab: Lab, cycle: Cycle) -> Cycle | None:
    """A cycle with what it sealed on record, once it has its verdict; None where nobody can reveal that any more."""
    try:
        return reveal(lab, cycle)
    except SealError:
        return None


def _work(desk: Desk, bundle: Frozen | Trained) -> Path:
    """The folder of another bundle of the same cycle."""
    return desk.dispatch.work.parent / f"{bundle.stage}-{bundle.batch}"


def _manifests(desk: Desk) -> tuple[Manifest, ...]:
    """The manifests of an attempt's bundles, in order; each must still be the one on record."""
    frozen = [one for one in desk.lab.facts(desk.dispatch.cycle) if isinstance(one, Frozen) and one.stage != "trial"]
    manifests = []
    for one in frozen:
        path = _work(desk, one) / "manifest.json"
        manifest = read_manifest(path)
        if manifest_digest(manifest.inputs) != one.manifest:
            raise failure("is not the manifest that was frozen", manifest_digest(manifest.inputs), file=str(path))
        manifests.append(manifest)
    return tuple(manifests)


def _dossier(
    desk: Desk,
    spec: str,
    mutations: tuple[Mutation, ...],
    evidence: Evidence | None,
    decision: Decision,
    isolation: str,
) -> Dossier:
    inputs = desk.dispatch.manifest.inputs
    parent = next((run.spec for run in inputs.runs if run.arm == "control"), "")
    return Dossier(
        generation=inputs.generation,
        spec=spec,
        licence=find_corpus(inputs.domain, inputs.corpus).licence,
        mutations=mutations,
        cost=desk.costs[spec],
        parent_cost=desk.costs.get(parent),
        evidence=evidence,
        decision=decision,
        inputs=inputs,
        isolation=isolation,
        wanted_gain=float(desk.lab.contract.criteria.generalize_gain),
    )
