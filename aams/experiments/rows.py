"""The ledger as experiments, one record each, in its order.

Takes the ordered ledger and what the archive adds to it. What is not on record is None, never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import stdev
from typing import cast

from aams.canonical import to_data
from aams.experiments.reading import Archive, Told, first_of, told
from aams.experiments.record import Experiment, Outcome
from aams.records import Cost, Fitness, Look, Pair, Stage
from evaluator.arbiter import gains_of
from safety.events import (
    Attempted,
    Closed,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    Refusal,
    Revealed,
    RunSummary,
    Screened,
    Trained,
    Verdict,
)
from safety.ledger import Recorded
from safety.lineage import Generation
from safety.state import State, fold

CONFIDENCE = 0.95


def experiments(ledger: Sequence[Recorded], archive: Archive) -> list[Experiment]:
    """Every experiment, cycle by cycle: the trials in the order proposed, then what was refused, then the attempt.

    Args:
        archive: from `read_archive`; without a generation in it, cost and device stay None.
    """
    state = fold(ledger)
    devices = {one.fingerprint: one.device for one in archive.values()}
    rows: list[Experiment] = []
    for cycle in told(ledger).values():
        for row in _of_cycle(cycle, state, archive):
            rows.append(replace(row, device=devices.get(row.fingerprint or "") or None))
    return rows


def _of_cycle(cycle: Told, state: State, archive: Archive) -> Iterator[Experiment]:
    opened, closed = first_of(cycle.facts, Opened), first_of(cycle.facts, Closed)
    if opened is None:
        return
    lineage = state.lineages[cycle.domain]
    by_name = {one.name: one for one in lineage.generations}
    parent = by_name.get(opened.parent)
    plain = Experiment(
        domain=cycle.domain,
        cycle=cycle.name,
        opened=cycle.opened_at,
        closed=cycle.closed_at,
        stage="trial",
        outcome="open",
        reasons=None,
        generation=None,
        parent=opened.parent or None,
        spec=None,
        parent_spec=parent.spec or None if parent else None,
        seed=opened.seed,
        planner=opened.planner or None,
        trigger=opened.trigger or None,
        corpus=opened.corpus or None,
        commit=opened.commit or None,
    )
    proposed = first_of(cycle.facts, Proposed) or Proposed((), ())
    yield from _trials(plain, cycle, proposed, closed)
    yield from (_refused(plain, one) for one in proposed.refused)
    attempted = first_of(cycle.facts, Attempted)
    looked = first_of(cycle.facts, Looked)
    if attempted:
        yield _attempt(plain, cycle, proposed, by_name[attempted.generation], archive)
    elif looked:
        yield _rechallenge(plain, cycle, by_name[looked.generation], by_name, archive)


def _trials(plain: Experiment, cycle: Told, proposed: Proposed, closed: Closed | None) -> Iterator[Experiment]:
    screened = first_of(cycle.facts, Screened)
    scores = {score.spec: score.accuracy for score in screened.scores} if screened else {}
    bundles = _bundles(cycle, "trial")
    runs = {run.spec: run for bundle in bundles for run in bundle.runs if run.arm == "child"}
    for child in proposed.children:
        outcome, reason = _trial_outcome(child.spec, runs.get(child.spec), screened, closed)
        row = _trained(_changed(plain, child), bundles, [runs[child.spec]] if child.spec in runs else [], child.cost)
        yield replace(
            row,
            outcome=outcome,
            reasons=reason or None,
            validation=scores.get(child.spec),
            control_validation=screened.control if screened else None,
        )


def _trial_outcome(
    spec: str, run: RunSummary | None, screened: Screened | None, closed: Closed | None
) -> tuple[Outcome, str]:
    if run and run.status != "finished":
        return cast(Outcome, run.status), run.reason
    if screened is None:
        return (cast(Outcome, closed.outcome), closed.reason) if closed else ("open", "")
    if not screened.passed:
        return "screened-out", closed.reason if closed else ""
    return ("chosen" if spec == screened.best else "outscored"), ""


def _refused(plain: Experiment, refusal: Refusal) -> Experiment:
    reasons = "; ".join(f"{one.gate}: {one.what}: {one.got}" for one in refusal.findings)
    return replace(plain, spec=refusal.spec, outcome="refused", reasons=reasons or None)


def _attempt(
    plain: Experiment, cycle: Told, proposed: Proposed, generation: Generation, archive: Archive
) -> Experiment:
    """A root or an attempt. Its spec is sealed until the verdict; a placebo is none of the children."""
    verdict, revealed = first_of(cycle.facts, Verdict), first_of(cycle.facts, Revealed)
    closed = first_of(cycle.facts, Closed)
    stage: Stage = "attempt" if generation.parent else "root"
    child = next((one for one in proposed.children if one.spec == generation.spec), None)
    archived = archive.get((plain.domain, generation.name))
    cost = child.cost if child else archived.cost if archived else None
    bundles = _bundles(cycle, stage)
    runs = [run for bundle in bundles for run in bundle.runs if run.arm != "control"]
    reasons = "; ".join(verdict.reasons) if verdict else closed.reason if closed else ""
    row = _trained(_changed(plain, child) if child else plain, bundles, runs, cost)
    row = _measured(row, _looks(cycle), verdict.child if verdict else None, verdict.control if verdict else None)
    waits = generation.status == "open" and generation.verdict == "accepted"
    return replace(
        row,
        stage=stage,
        outcome="waiting" if waits else generation.status,
        reasons=reasons or None,
        generation=generation.name,
        spec=generation.spec or None,
        placebo=revealed.placebo if revealed else None,
        attempt=generation.hypothesis or None,
    )


def _rechallenge(
    plain: Experiment, cycle: Told, champion: Generation, known: Mapping[str, Generation], archive: Archive
) -> Experiment:
    """A champion against its predecessor; its test is turned round, its differences are not."""
    closed = first_of(cycle.facts, Closed)
    bundles = _bundles(cycle, "rechallenge")
    runs = [run for bundle in bundles for run in bundle.runs if run.arm == "child"]
    archived = archive.get((plain.domain, champion.name))
    before = known.get(champion.parent)
    row = _trained(plain, bundles, runs, archived.cost if archived else None)
    return replace(
        _measured(row, _looks(cycle), None, None),
        stage="rechallenge",
        outcome=cast(Outcome, closed.outcome) if closed else "open",
        reasons=closed.reason or None if closed else None,
        generation=champion.name,
        parent=champion.parent or None,
        spec=champion.spec or None,
        parent_spec=before.spec or None if before else None,
    )


def _changed(plain: Experiment, child: ProposedChild) -> Experiment:
    """With what was changed, why, and what that costs."""
    mutations = child.mutations
    return replace(
        plain,
        spec=child.spec,
        operators="; ".join(one.operator for one in mutations) or None,
        paths="; ".join(one.path for one in mutations) or None,
        before=json.dumps([one.before for one in mutations], sort_keys=True) if mutations else None,
        after=json.dumps([one.after for one in mutations], sort_keys=True) if mutations else None,
        rationale=child.rationale or None,
        predicted_effect=child.predicted_effect,
    )


def _trained(
    plain: Experiment, bundles: Sequence[Trained], runs: Sequence[RunSummary], cost: Cost | None
) -> Experiment:
    """With what it costs by the model, and what its training took."""
    row = plain
    if cost:
        row = replace(
            row,
            parameters=cost.parameters,
            forward_flops=cost.forward_flops,
            step_flops=cost.step_flops,
            memory_bytes=cost.activation_bytes + cost.optimizer_bytes,
            used_flops=_used_flops(bundles, runs, cost) if runs else None,
        )
    if not bundles:
        return row
    return replace(
        row,
        bundle_cpu_s=round(math.fsum(one.cpu_s for one in bundles), 3),
        bundle_wall_s=round(math.fsum(one.wall_s for one in bundles), 3),
        isolation=bundles[-1].isolation or None,
        fingerprint=bundles[-1].fingerprint or None,
    )


def _used_flops(bundles: Sequence[Trained], runs: Sequence[RunSummary], cost: Cost) -> int:
    """Training FLOPs of runs; a sealed child's steps are told to nobody, and it is accounted like its control."""
    steps = [run.steps for run in runs if run.steps is not None]
    if len(steps) == len(runs):
        return sum(steps) * cost.step_flops
    return sum(one.used_flops for one in bundles) // 2


def _measured(plain: Experiment, looks: Sequence[Looked], child: Fitness | None, control: Fitness | None) -> Experiment:
    """With the released scores and what the pairs say so far."""
    row = plain
    if child:
        row = replace(row, **to_data(child))
    if control:
        row = replace(row, control_generalize=control.generalize)
    if not looks:
        return row
    pairs, look = used_pairs(looks)
    low, high = _interval([pair.child.generalize for pair in pairs])
    row = replace(
        row,
        runs=len(pairs),
        generalize_sd=_deviation([pair.child.generalize for pair in pairs]),
        generalize_low=low,
        generalize_high=high,
    )
    if look is None:
        return row
    gains = gains_of(pairs)
    return replace(
        row,
        pairs=look.pairs,
        difference=math.fsum(gains) / len(gains),
        difference_sd=_deviation(gains),
        gain=look.gain,
        gain_low=look.low,
        gain_high=look.high,
        e_value=look.e_value,
        evidence_needed=1 / look.level,
        standing=look.standing,
    )


def used_pairs(looks: Sequence[Looked]) -> tuple[tuple[Pair, ...], Look | None]:
    """The pairs that the newest look used, in order, and the look; all pairs of a root, which is not tested."""
    pairs, look = tuple(pair for one in looks for pair in one.pairs), looks[-1].look
    return (pairs[: look.pairs], look) if look else (pairs, None)


def _bundles(cycle: Told, stage: Stage) -> list[Trained]:
    return [one for one in cycle.facts if isinstance(one, Trained) and one.stage == stage]


def _looks(cycle: Told) -> list[Looked]:
    return [one for one in cycle.facts if isinstance(one, Looked)]


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Student's interval of a mean (Student 1908); of a single value there is none."""
    from scipy.special import stdtrit  # late: it costs more than all of `import aams`

    spread = _deviation(values)
    if spread is None:
        return None, None
    width = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2)) * spread / math.sqrt(len(values))
    mean = math.fsum(values) / len(values)
    return mean - width, mean + width
