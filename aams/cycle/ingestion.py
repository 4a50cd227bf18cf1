"""Steps 9 to 12: from what came back, not believed, to entries, an archive and a champion."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from aams.cycle.desk import Desk, finished_runs, lay_out, receive, record_once, recorded, scored, set_up
from aams.cycle.lab import Ended, Lab, text_of
from aams.cycle.proposal import conclude, end, freeze, left_behind
from aams.dispatch import Dispatch, Plan, plan_runs
from aams.errors import Problem, ResultError, failure
from aams.generation import Attempt, artifacts
from aams.records import Decision, Evidence, Run
from domains import draw_holdout, find_corpus
from evaluator import arbiter
from evaluator.fitness import gather_evidence
from evaluator.holdout import RunScore, Split
from evaluator.report import Dossier
from evaluator.results import Returned
from evaluator.screen import screen
from safety import store
from safety.archive import archive_generation, generation_path
from safety.events import Attempted, Proposed, Screened, Verdict

PUBLIC_SECRET = b"AAMS local holdout, version 1"
"""What a local arbiter mixes into the holdout's seed: public, so that local cycles are reproducible."""


def ingest(lab: Lab, dispatch: Dispatch, folder: Path) -> Dispatch | Ended:
    """Steps 9 to 12: read, check the binding, recompute, decide, record.

    Args:
        folder: what the lane brought back.

    Returns:
        The attempt's dispatch when the trials passed the screen, else how the cycle ended.

    Raises:
        ResultError: what came back is not what the manifest demands; nothing is recorded, and the cycle stays open.
    """
    verdict = recorded(lab, dispatch.cycle, Verdict)
    if verdict:
        return conclude(lab, dispatch.cycle, dispatch.manifest.inputs.domain, verdict)
    desk = set_up(lab, dispatch)
    returned = receive(desk, folder)
    return _screen(desk, returned) if dispatch.stage == "trial" else _judge(desk, returned)


def waiting(lab: Lab, cycle: str) -> Dispatch:
    """The dispatch that an open cycle waits for.

    Raises:
        AamsError: there is no such open cycle, or its bundle is not on this machine.
    """
    open_cycles = lab.state().open_cycles
    found = left_behind(lab, open_cycles[cycle]) if cycle in open_cycles else None
    if found is None:
        known = ", ".join(open_cycles) or "none"
        raise failure("no such open cycle on this machine", cycle, f"open are: {known}")
    return found


def _screen(desk: Desk, returned: Returned) -> Dispatch | Ended:
    """Step 10 for trials: rank them on validation; the best one may become an attempt."""
    lab, inputs = desk.lab, desk.dispatch.manifest.inputs
    splits = lay_out(desk, {"validation": desk.prepared.arrays["validation"]})
    accuracy = {}
    for run in finished_runs(desk, returned):
        try:
            accuracy[run.name] = scored(desk, returned, run, splits).splits["validation"].accuracy
        except ResultError:
            if run.arm == "control":
                raise
    controls = [accuracy[run.name] for run in inputs.runs if run.arm == "control" and run.name in accuracy]
    if not controls:
        raise ResultError(Problem("no control run finished, so nothing can be compared"))
    control = sum(controls) / len(controls)
    trials = {run.spec: accuracy.get(run.name) for run in inputs.runs if run.arm == "child"}
    screened = screen(control, trials, lab.contract.promotion.screen_margin)
    record_once(desk, screened)
    if not screened.passed:
        return end(lab, inputs.cycle, inputs.domain, "screened-out", _screen_reason(screened))
    attempted = _attempt(desk, screened.best)
    child = desk.specs[attempted.spec]
    parent = next(desk.specs[run.spec] for run in inputs.runs if run.arm == "control")
    pairs = lab.contract.promotion.pairs
    runs = plan_runs("attempt", parent, [child], desk.costs, inputs.compute_flops, inputs.cycle, pairs)
    plan = Plan(
        inputs.cycle,
        "attempt",
        inputs.domain,
        inputs.parent,
        inputs.parent_weights,
        (parent, child),
        runs,
        inputs.compute_flops,
    )
    return freeze(lab, plan, desk.prepared)


def _judge(desk: Desk, returned: Returned) -> Ended:
    """Steps 10 to 12 for a root or an attempt: recompute on the holdout, decide, archive, record."""
    lab, inputs = desk.lab, desk.dispatch.manifest.inputs
    own = [run for run in inputs.runs if run.arm != "control"]
    attempted = _attempt(desk, own[0].spec)
    finished = {run.name for run in finished_runs(desk, returned)}
    if any(run.name not in finished for run in inputs.runs if run.arm == "control"):
        raise ResultError(Problem("a control run did not finish, so nothing can be compared"))
    weights = _keep_weights(desk, returned, own[0])

    # 10 recompute, 11 decide
    evidence, decision = _decide(desk, returned, own, finished)

    # 12 archive and record
    lineage = lab.lineage(inputs.domain)
    generation = next(one for one in lineage.generations if one.name == attempted.generation)
    before = lineage.champion.generation if lineage.champion else ""
    dossier = _dossier(desk, returned, attempted, evidence, decision)
    place = generation_path(lab.root, inputs.domain, generation.directory)
    if place.exists():  # left by a killed command: without a verdict it never counted
        shutil.rmtree(place)
    text = text_of(lab, inputs.cycle, desk.specs[attempted.spec])
    time = generation.directory.partition("-")[2]
    attempt = Attempt(
        desk.specs[attempted.spec], text, desk.prepared.interface, desk.dispatch.manifest, returned, dossier, time
    )
    verdict = Verdict(
        generation=attempted.generation,
        spec=attempted.spec,
        outcome=decision.outcome,
        criteria=decision.criteria,
        reasons=decision.reasons,
        child=evidence.child if evidence else None,
        control=evidence.control if evidence else None,
        pairs=evidence.pairs if evidence else (),
        voice=evidence.voice if evidence else (),
        weights=weights,
        archive=archive_generation(lab.root, inputs.domain, generation.directory, artifacts(attempt), weights),
        head_before=before,
        head_after=attempted.generation if decision.outcome == "accepted" else before,
    )
    lab.record(inputs.cycle, inputs.domain, verdict)
    return conclude(lab, inputs.cycle, inputs.domain, verdict)


def _decide(desk: Desk, returned: Returned, own: list[Run], finished: set[str]) -> tuple[Evidence | None, Decision]:
    inputs, contract = desk.dispatch.manifest.inputs, desk.lab.contract
    by_name = {run.name: run for run in returned.results.runs}
    broken = [by_name[run.name] for run in own if run.name not in finished]
    if broken:
        return None, arbiter.refuse(*(f"Run {run.name} {run.status}: {run.reason}" for run in broken))
    lineage = desk.lab.lineage(inputs.domain)
    is_root = desk.dispatch.stage == "root"
    try:
        scores = _holdout_scores(desk, returned)
    except ResultError as error:
        return None, arbiter.refuse(f"It could not be scored: {error.problems[0]}")
    evidence = gather_evidence(
        [one for one in scores if one.run.arm != "control"],
        [one for one in scores if one.run.arm == "control"],
        law_violations=sum(len(by_name[run.name].law_violations) for run in own),
        step=contract.promotion.holdout_step,
        root_voice=lineage.root.voice if lineage.root and not is_root else None,
        best_recall=0.0 if is_root else lineage.best_recall,
    )
    return evidence, arbiter.decide(contract, evidence)


def _holdout_scores(desk: Desk, returned: Returned) -> list[RunScore]:
    """Score every run on replay, probe and its pair's own block of a holdout that is drawn now, after the weights."""
    inputs = desk.dispatch.manifest.inputs
    pairs = 1 + max(run.pair for run in inputs.runs)
    digests = sorted(run.weights for run in returned.results.runs)
    seed = hashlib.sha256(PUBLIC_SECRET + "".join(digests).encode("ascii")).digest()
    drawn = draw_holdout(inputs.domain, desk.prepared, seed, pairs)
    splits = lay_out(
        desk, {"replay": desk.prepared.arrays["replay"], "probe": desk.prepared.arrays["probe"], "holdout": drawn}
    )
    block = splits["holdout"].stop // pairs
    return [
        scored(
            desk,
            returned,
            run,
            {**splits, "holdout": Split(splits["holdout"].file, run.pair * block, (run.pair + 1) * block)},
        )
        for run in inputs.runs
    ]


def _keep_weights(desk: Desk, returned: Returned, run: Run) -> str:
    """Put the weights of run 0, never the best of all, into the store."""
    if run.name not in returned.weights:
        return ""
    digest = next(result.weights for result in returned.results.runs if result.name == run.name)
    store.put(desk.lab.root, returned.weights[run.name], digest)
    return digest


def _attempt(desk: Desk, spec: str) -> Attempted:
    """Take the next generation number; an interrupted cycle keeps the one it took."""
    taken = recorded(desk.lab, desk.dispatch.cycle, Attempted)
    if taken:
        return taken
    domain = desk.dispatch.manifest.inputs.domain
    attempted = Attempted(desk.lab.lineage(domain).next_generation, spec)
    desk.lab.record(desk.dispatch.cycle, domain, attempted)
    return attempted


def _dossier(
    desk: Desk, returned: Returned, attempted: Attempted, evidence: Evidence | None, decision: Decision
) -> Dossier:
    inputs = desk.dispatch.manifest.inputs
    proposed = recorded(desk.lab, inputs.cycle, Proposed)
    children = proposed.children if proposed else ()
    parent = next((run.spec for run in inputs.runs if run.arm == "control"), "")
    return Dossier(
        generation=attempted.generation,
        spec=attempted.spec,
        licence=find_corpus(inputs.domain, inputs.corpus).licence,
        mutations=next((child.mutations for child in children if child.spec == attempted.spec), ()),
        cost=desk.costs[attempted.spec],
        parent_cost=desk.costs.get(parent),
        evidence=evidence,
        decision=decision,
        inputs=inputs,
        isolation=returned.results.isolation,
    )


def _screen_reason(screened: Screened) -> str:
    best = screened.scores[0].accuracy if screened.best else None
    if best is None:
        return "no trial finished"
    return (
        f"the best of {len(screened.scores)} children scored {best:.4f} on validation, the control "
        f"{screened.control:.4f}; it needed {screened.margin:g} more than the control"
    )
