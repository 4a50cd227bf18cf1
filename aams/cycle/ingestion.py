"""Steps 9 to 12: from what came back, not believed, to entries, an archive and a champion."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from aams.cycle.approval import conclude
from aams.cycle.desk import (
    Desk,
    finished_runs,
    lay_out,
    left_behind,
    receive,
    record_once,
    recorded,
    scored,
    set_up,
    short_of,
)
from aams.cycle.lab import Ended, Lab
from aams.cycle.next_bundle import proceed
from aams.cycle.rechallenge import confirm
from aams.cycle.sealed import arbiter_secret, hand_over, seal_child, sealed_child
from aams.cycle.verdict import is_the_arbiters, pronounce
from aams.dispatch import Dispatch, pairs_flops
from aams.errors import ResultError, failure
from aams.records import Decision, Evidence, Run
from domains import DOMAINS, draw_holdout
from evaluator import arbiter
from evaluator.fitness import mean_voice, pair_up
from evaluator.holdout import RunScore, Split
from evaluator.recount import evidence_on, law_violations, taken_s
from evaluator.results import Returned
from evaluator.screen import screen
from safety import store
from safety.eligibility import may_attempt
from safety.events import Attempted, Looked, Screened, Trained


def ingest(lab: Lab, dispatch: Dispatch, folder: Path) -> Dispatch | Ended:
    """Steps 9 to 12: read, check the binding, recompute, decide, record.

    Args:
        folder: what the lane brought back.

    Returns:
        The next dispatch, when the trials passed the screen or the pairs so far decide nothing; else how the cycle
        ended, or that it waits for the second key.

    Raises:
        ResultError: what came back is not what the manifest demands; nothing is recorded, and the cycle stays open.
    """
    return judge(lab, dispatch, folder) or proceed(lab, dispatch.cycle)


def judge(lab: Lab, dispatch: Dispatch, folder: Path) -> Ended | None:
    """The arbiter's part of `ingest`: how the cycle ended, or None when it wants its next pairs."""
    cycle = lab.state.open_cycles[dispatch.cycle]
    if cycle.verdict:
        return conclude(lab, cycle)
    desk = set_up(lab, dispatch)
    if not is_the_arbiters(desk):
        return lab.end(cycle.id, "abandoned", "another child was trained than the arbiter handed over")
    returned = receive(desk, folder)
    if dispatch.stage == "trial":
        return _screen(desk, returned)
    return _rejudge(desk, returned) if dispatch.stage == "rechallenge" else _judge(desk, returned)


def collect(lab: Lab, dispatch: Dispatch, folder: Path) -> None:
    """Step 9 alone, for who is not the arbiter: what came back is bound to the manifest and put on record.

    Raises:
        ResultError: what came back is not what the manifest demands; nothing is recorded.
    """
    receive(set_up(lab, dispatch), folder)


def waiting(lab: Lab, cycle: str) -> Dispatch:
    """The dispatch that an open cycle waits for.

    Raises:
        AamsError: there is no such open cycle, or its bundle is not on this machine.
    """
    open_cycles = lab.state.open_cycles
    found = left_behind(lab, open_cycles[cycle]) if cycle in open_cycles else None
    if found is None:
        known = ", ".join(open_cycles) or "none"
        raise failure("no such open cycle on this machine", cycle, f"open are: {known}")
    return found


def _screen(desk: Desk, returned: Returned) -> Ended | None:
    """Step 10 for trials: rank them on validation; the best one may become an attempt, and is handed over."""
    lab, inputs = desk.lab, desk.dispatch.manifest.inputs
    try:
        screened = recorded(lab, inputs.cycle, Screened) or _rank(desk, returned)
    except UnscorableError as error:
        return lab.end(inputs.cycle, "abandoned", f"no control could be scored: {error.problems[0]}")
    record_once(desk, screened)
    if not screened.passed:
        return lab.end(inputs.cycle, "screened-out", _screen_reason(screened))
    cycle = lab.state.open_cycles[inputs.cycle]
    if cycle.sealed:  # a killed command got as far
        sealed = sealed_child(lab, cycle, desk.prepared.interface)
    else:
        needed = pairs_flops(lab.contract, DOMAINS[inputs.domain].COMPUTE_FLOPS)
        missing = may_attempt(lab.state, cycle, lab.contract, needed, lab.time(cycle.id))
        if missing:
            return lab.end(cycle.id, "explored", "; ".join(f"{found.what}: {found.got}" for found in missing))
        sealed = seal_child(lab, cycle, desk.prepared.interface)
        generation = lab.lineage(inputs.domain).next_generation
        lab.record(cycle.id, inputs.domain, Attempted(generation, sealed.commitment))
    hand_over(lab, cycle.id, sealed)
    return None


def _rank(desk: Desk, returned: Returned) -> Screened:
    splits = lay_out(desk, {"validation": desk.prepared.arrays["validation"]})
    inputs = desk.dispatch.manifest.inputs
    finished = finished_runs(desk, returned)
    scores = scored(desk, returned, finished, lambda run: splits)
    accuracy = {one.run.name: one.splits["validation"].accuracy for one in scores if isinstance(one, RunScore)}
    controls = [accuracy[run.name] for run in inputs.runs if run.arm == "control" and run.name in accuracy]
    for run, one in zip(finished, scores, strict=True):
        if not controls and run.arm == "control" and isinstance(one, ResultError):
            raise UnscorableError(*one.problems)
    control = sum(controls) / len(controls)
    trials = {run.spec: accuracy.get(run.name) for run in inputs.runs if run.arm == "child"}
    return screen(control, trials, desk.lab.contract.promotion.screen_margin)


def _judge(desk: Desk, returned: Returned) -> Ended | None:
    """Steps 10 to 12 for a root or an attempt: recompute on the holdout; decide and archive, unless it wants more."""
    _keep_weights(desk, returned)

    # 10 recompute, 11 decide
    evidence, decision = _decide(desk, returned, {run.name for run in finished_runs(desk, returned)})
    if decision is None:
        return None
    return pronounce(desk, evidence, decision, returned.results.environment)


def _rejudge(desk: Desk, returned: Returned) -> Ended | None:
    """Steps 10 and 11 for a re-challenge: recompute on the holdout, and see whether the champion stands."""
    inputs = desk.dispatch.manifest.inputs
    looked = [one for one in desk.lab.facts(inputs.cycle) if isinstance(one, Looked)]
    if len(looked) <= desk.dispatch.batch:
        try:
            looked.append(_look(desk, returned, looked))
        except UnscorableError as error:
            return desk.lab.end(inputs.cycle, "abandoned", f"it could not be scored: {error.problems[0]}")
        desk.lab.record(inputs.cycle, inputs.domain, looked[-1])
    return confirm(desk, looked[-1])


def _decide(desk: Desk, returned: Returned, finished: set[str]) -> tuple[Evidence | None, Decision | None]:
    """What is known of an attempt, and the arbiter's decision; none while it needs more pairs."""
    lab, inputs, contract = desk.lab, desk.dispatch.manifest.inputs, desk.lab.contract
    facts = lab.facts(inputs.cycle)
    violations = law_violations(facts)
    broken = [run for run in returned.results.runs if run.name not in finished]
    reasons = [f"Run {run.name} {run.status}: {run.reason}" for run in broken]
    taken, wall_s = taken_s(facts), contract.budget.wall_s
    if taken > wall_s:
        reasons.append(f"Its bundles took {taken:,.1f} s, and {wall_s:,} s is the limit for all of them")
    if reasons:
        return None, arbiter.refuse(contract, violations + (taken > wall_s), *reasons)
    looked = [one for one in facts if isinstance(one, Looked)]
    if len(looked) <= desk.dispatch.batch:
        try:
            looked.append(_look(desk, returned, looked))
        except UnscorableError as error:
            return None, arbiter.refuse(contract, violations, f"It could not be scored: {error.problems[0]}")
        lab.record(inputs.cycle, inputs.domain, looked[-1])
    missing = short_of(desk) if looked[-1].standing == "more" else ""
    if looked[-1].standing == "more" and not missing:
        return None, None
    evidence = evidence_on(lab.facts(inputs.cycle), lab.lineage(inputs.domain), contract)
    decision = arbiter.decide(contract, evidence)
    return evidence, replace(decision, reasons=(missing, *decision.reasons)) if missing else decision


class UnscorableError(ResultError):
    """A run can't be scored, so nothing can be compared. Its results count once, so it ends its cycle."""


def _look(desk: Desk, returned: Returned, looked: list[Looked]) -> Looked:
    """Recompute a batch on the holdout, and look at all pairs so far.

    Raises:
        UnscorableError: a run can't be scored.
    """
    inputs, contract = desk.dispatch.manifest.inputs, desk.lab.contract
    scores = _holdout_scores(desk, returned)
    child = [one for one in scores if one.run.arm != "control"]
    control = [one for one in scores if one.run.arm == "control"]
    pairs = pair_up(child, control, contract.promotion.holdout_step)
    first, look = not looked, None
    if control:
        so_far = tuple(pair for one in looked for pair in one.pairs)
        look = (
            arbiter.look_back(contract, so_far + pairs)
            if inputs.stage == "rechallenge"
            else arbiter.look_at(contract, so_far + pairs, *_hypothesis(desk))
        )
    return Looked(
        generation=inputs.generation or inputs.parent,
        batch=desk.dispatch.batch,
        pairs=pairs,
        voice=mean_voice(child) if first else (),
        control_voice=mean_voice(control) if first and control else (),
        look=look,
        standing=look.standing if look else "proven",
    )


def _hypothesis(desk: Desk) -> tuple[int, int]:
    """Which hypothesis of its line the attempt is, and how many were accepted before."""
    inputs = desk.dispatch.manifest.inputs
    lineage = desk.lab.lineage(inputs.domain)
    attempt = next(one for one in lineage.generations if one.name == inputs.generation)
    return attempt.hypothesis, lineage.discoveries


def _holdout_scores(desk: Desk, returned: Returned) -> list[RunScore]:
    """Score every run on replay, probe and its pair's own block of a holdout that is drawn now, after the weights.

    The holdout of an attempt is drawn when the weights of its first batch are in; its later blocks stay untouched until
    their pairs are.
    """
    inputs = desk.dispatch.manifest.inputs
    facts = desk.lab.facts(inputs.cycle)
    first = next(one for one in facts if isinstance(one, Trained) and one.stage == desk.dispatch.stage)
    seed = hashlib.sha256(arbiter_secret() + "".join(sorted(first.weights.values())).encode("ascii")).digest()
    blocks = 1 + max(run.pair for run in inputs.runs)
    drawn = draw_holdout(inputs.domain, desk.prepared, seed, blocks)
    known = {"replay": desk.prepared.arrays["replay"], "probe": desk.prepared.arrays["probe"]}
    splits = lay_out(desk, {**known, "holdout": drawn})
    file, block = splits["holdout"].file, splits["holdout"].stop // blocks

    def asked(run: Run) -> dict[str, Split]:
        return {**splits, "holdout": Split(file, run.pair * block, (run.pair + 1) * block)}

    answers = scored(desk, returned, inputs.runs, asked)
    for one in answers:
        if isinstance(one, ResultError):
            raise UnscorableError(*one.problems)
    return [one for one in answers if isinstance(one, RunScore)]


def _keep_weights(desk: Desk, returned: Returned) -> None:
    """Put the weights of run 0, never the best of all, into the store."""
    first = next(run for run in desk.dispatch.manifest.inputs.runs if run.arm != "control")
    if desk.dispatch.batch == 0 and first.name in returned.weights:
        digest = next(result.weights for result in returned.results.runs if result.name == first.name)
        store.put(desk.lab.root, returned.weights[first.name], digest)


def _screen_reason(screened: Screened) -> str:
    best = screened.scores[0].accuracy if screened.best else None
    if best is None:
        return "no trial finished"
    return (
        f"the best of {len(screened.scores)} children scored {best:.4f} on validation, the control "
        f"{screened.control:.4f}; it needed {screened.margin:g} more than the control"
    )
