"""What ingesting one dispatch works with, and step 9: what came back is read as hostile and bound to the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from aams.cycle.lab import CACHE, Lab
from aams.cycle.planned import check_frozen, plan_of
from aams.cycle.sealed import handed_over
from aams.dispatch import Dispatch, find, reserved_flops
from aams.errors import Problem, ResultError, failure
from aams.files import digest_file, read_bounded, write_whole
from aams.records import Arm, Cost, Run, Spec
from compiler.render import render
from domains import prepare
from domains.base import Prepared
from evaluator.holdout import Question, RunScore, Split, score
from evaluator.recount import taken_s
from evaluator.results import (
    MAX_RESULTS_BYTES,
    RESULTS_NAME,
    Returned,
    RunResult,
    parse_results,
    read_results,
)
from evaluator.weights import Tensor, check_weights
from safety.clock import utc_now
from safety.eligibility import within_month
from safety.events import CURVE_POINTS, Facts, Frozen, RunSummary, Screened, Trained, facts_of
from safety.lifecycle import Cycle
from safety.manifest import manifest_digest

if TYPE_CHECKING:
    from domains.base import Arrays

F = TypeVar("F", bound=Facts)
OWN = "arbiter"
"""Folder of the arbiter's own copies in a dispatch's."""


def left_behind(lab: Lab, cycle: Cycle) -> Dispatch | None:
    """The last dispatch of an open cycle, when it is whole on this machine and is the one in the ledger."""
    frozen = [facts for facts in lab.facts(cycle.id) if isinstance(facts, Frozen)]
    if not frozen:
        return None
    found = find(lab.root, cycle.id, frozen[-1].stage, frozen[-1].batch)
    if found and (manifest_digest(found.manifest.inputs), found.manifest.envelope.nonce) == (
        frozen[-1].manifest,
        frozen[-1].nonce,
    ):
        return found
    return None


@dataclass(frozen=True, slots=True)
class Desk:
    """What ingesting one dispatch works with: the domain's data, and every spec with its cost and rendered model."""

    lab: Lab
    dispatch: Dispatch
    prepared: Prepared
    specs: Mapping[str, Spec]
    costs: Mapping[str, Cost]
    models: Mapping[str, Path]

    @property
    def scratch(self) -> Path:
        """A folder for the arbiter's own copies."""
        return self.dispatch.work / OWN


def set_up(lab: Lab, dispatch: Dispatch) -> Desk:
    """Gather what a dispatch trained, and render its models with this checkout's templates.

    Raises:
        AamsError: the bundle is not what this checkout would freeze for its cycle.
    """
    cycle = lab.state.open_cycles[dispatch.cycle]
    prepared = prepare(cycle.domain, cycle.opened.corpus, cache=lab.root / CACHE)
    handed = handed_over(lab, dispatch.cycle) if dispatch.stage == "attempt" else None
    plan, costs = plan_of(lab, cycle, dispatch.stage, dispatch.batch, prepared, handed)
    check_frozen(lab, plan, dispatch.manifest.inputs, prepared)
    trained = {spec.id: spec for spec in plan.specs}
    models = {name: dispatch.work / OWN / f"{name}.py" for name in trained}
    desk = Desk(lab, dispatch, prepared, trained, costs, models)
    for name, spec in trained.items():
        write_whole(desk.models[name], render(spec, prepared.interface).encode("ascii"))
    return desk


def receive(desk: Desk, folder: Path) -> Returned:
    """Step 9: bind results and weights to the frozen manifest, and put on record that they came.

    Raises:
        ResultError: they are not what the manifest demands, or leave nothing to compare; nothing is recorded.
        AamsError: they came too late.
    """
    check_in_time(desk.lab, desk.dispatch)
    returned = read_results(folder, desk.dispatch.manifest, desk.costs)
    inputs = desk.dispatch.manifest.inputs
    accepted = inputs.confinement
    if returned.results.isolation not in accepted:
        what, advice = f"was not trained under {', '.join(accepted)}", "train the bundle again, confined as it requires"
        raise ResultError(Problem(what, returned.results.isolation, advice, str(folder), path="isolation"))
    _check_comparable(desk, returned, folder)
    tables = _tables(desk)
    finished = [run for run in returned.results.runs if run.status == "finished"]
    for run in finished:
        check_weights(returned.weights[run.name], tables[run.spec], run.weights)
    results = returned.results
    hidden = _child(desk) if desk.dispatch.stage == "attempt" else ""
    taken = sum(run.steps * desk.costs[run.spec].step_flops for run in results.runs)
    reserved = reserved_flops(inputs.stage, inputs.runs, desk.costs, inputs.compute_flops)
    own = [run.timing for run in results.runs if run.spec != hidden]
    cpu_s, own_s = sum(one.get("cpu_s", 0.0) for one in own), [one.get("wall_s", 0.0) for one in own]
    trained = Trained(
        stage=desk.dispatch.stage,
        batch=desk.dispatch.batch,
        results=returned.digest,
        runs=tuple(_summary(desk, run, run.spec == hidden) for run in results.runs),
        weights={run.name: run.weights for run in finished},
        isolation=results.isolation,
        fingerprint=results.fingerprint,
        used_flops=reserved if hidden else taken,
        cpu_s=round(cpu_s * len(results.runs) / len(own), 3),
        wall_s=round(max([results.timing.wall_s, *own_s]), 3),
    )
    _check_new(desk, trained)
    record_once(desk, trained)
    if trained.results in [one.results for one in desk.lab.facts(desk.dispatch.cycle) if isinstance(one, Trained)]:
        keep_results(desk.dispatch.work, folder)
    return returned


def check_in_time(lab: Lab, dispatch: Dispatch) -> None:
    """See that results of a dispatch are still taken; where they are on record, a command may go on with them.

    Raises:
        AamsError: it expired before they came.
    """
    expires, now = dispatch.manifest.envelope.expires_at, utc_now()
    bundle = dispatch.stage, dispatch.batch
    on_record = any(isinstance(one, Trained) and _bundle(one) == bundle for one in lab.facts(dispatch.cycle))
    if now > expires and not on_record:
        advice = f"close the cycle: aams abandon {dispatch.cycle}, or let the next heartbeat do it"
        raise failure(f"its results were taken until {expires}; it is {now}", advice=advice, path=dispatch.cycle)


def _check_comparable(desk: Desk, returned: Returned, folder: Path) -> None:
    """See that enough finished to be judged, before anything is on record: a bundle's results count once.

    A child that did not finish has lost. But without its control nothing can be said of it, so then others must come;
    unless a limit stopped an attempt's control, as it would again: then the attempt is rejected.

    Raises:
        ResultError: naming a run that is missing.
    """
    inputs = desk.dispatch.manifest.inputs
    needed = [run.name for run in inputs.runs if run.arm == "control" or inputs.stage == "rechallenge"]
    enough = ("finished", "stopped") if inputs.stage == "attempt" else ("finished",)
    missing = [run for run in returned.results.runs if run.name in needed and run.status not in enough]
    if missing and (inputs.stage != "trial" or len(missing) == len(needed)):
        first = missing[0]
        what, advice = "did not finish, so nothing can be compared", "train the bundle again"
        raise ResultError(Problem(what, f"{first.status}: {first.reason}", advice, str(folder), path=first.name))


def _check_new(desk: Desk, trained: Trained) -> None:
    """See that no run returned weights that another bundle's run did: it was to be trained, from a seed of its own.

    Raises:
        ResultError: naming both runs.
    """
    runs = {weights: name for name, weights in trained.weights.items()}
    here = desk.dispatch.cycle, _bundle(trained)
    for entry in [entry for entry, _ in desk.lab.recorded if entry.event == "trained"]:
        known = facts_of(entry)
        if not isinstance(known, Trained) or (entry.cycle, _bundle(known)) == here:
            continue
        for name, weights in known.weights.items():
            if weights in runs:
                owner = f"{name} of {entry.cycle}, {known.stage} {known.batch}"
                what, advice = f"{runs[weights]} must have weights of its own, not those of {owner}", "train it again"
                raise ResultError(Problem(what, weights, advice))


def keep_results(work: Path, folder: Path) -> None:
    """Keep the arbiter's copy of what a bundle's runs reported: entries leave out an attempt's child."""
    write_whole(work / OWN / RESULTS_NAME, read_bounded(folder / RESULTS_NAME, MAX_RESULTS_BYTES))


def kept_results(work: Path, trained: Trained) -> tuple[RunResult, ...]:
    """What the runs of a bundle on record reported; nothing where no copy of it was kept."""
    path = work / OWN / RESULTS_NAME
    if not path.is_file() or digest_file(path) != trained.results:
        return ()
    return parse_results(read_bounded(path, MAX_RESULTS_BYTES), path).runs


def _summary(desk: Desk, run: RunResult, is_hidden: bool) -> RunSummary:
    """What goes on record of a run; of an attempt's child, which may be a placebo, nothing that could tell."""
    is_finished, timing = run.status == "finished", run.timing
    memory = timing.get("peak_memory_bytes")
    return RunSummary(
        name=run.name,
        arm=_arm(desk, run.name),
        pair=run.pair,
        spec="" if is_hidden else run.spec,
        status=run.status,
        reason=run.reason,
        steps=None if is_hidden else run.steps,
        items=None if is_hidden else run.items,
        accuracy=run.validation.accuracy if is_finished and not is_hidden else None,
        bits=run.validation.bits if is_finished and not is_hidden else None,
        loss_last=None if is_hidden else run.loss_last,
        law_violations=_violations(run),
        latency_ms=None if is_hidden else timing.get("latency_ms"),
        memory_bytes=None if is_hidden or memory is None else int(memory),
        curve=() if is_hidden else _thinned(run.curve),
    )


def short_of(desk: Desk) -> str:
    """What keeps an attempt, or a re-challenge, from its next pairs: the month's compute, or its time; "" for nothing.

    The next bundle is expected to take as long as those before it did.
    """
    lab, inputs, limits = desk.lab, desk.dispatch.manifest.inputs, desk.lab.contract.promotion
    done = (desk.dispatch.batch + 1) * limits.pairs_min
    pairs = min(limits.pairs_min, limits.pairs_max - done)
    pair = [run for run in inputs.runs if run.pair == inputs.runs[0].pair]
    needed = pairs * reserved_flops(inputs.stage, pair, desk.costs, inputs.compute_flops)
    for found in within_month(lab.state, lab.contract, needed, lab.time(inputs.cycle)):
        return f"No more pairs can be trained: {found.what}, {found.got}"
    taken, wall_s = taken_s(lab.facts(inputs.cycle)), lab.contract.budget.wall_s
    if taken + taken / (desk.dispatch.batch + 1) > wall_s:
        return f"No more pairs can be trained: {taken:,.0f} s of the budget's {wall_s:,} s are gone"
    return ""


def _violations(run: RunResult) -> int:
    """How often a run broke a law: a limit of the budget that stopped it is law 5, bounds."""
    return len(run.law_violations) + (run.status == "stopped")


def _thinned(curve: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """At most `CURVE_POINTS` of a curve, evenly, its last one among them; losses to four digits."""
    stride = -(-len(curve) // CURVE_POINTS) or 1
    return tuple((step, round(loss, 4)) for step, loss in curve[(len(curve) - 1) % stride :: stride])


def _child(desk: Desk) -> str:
    return next(run.spec for run in desk.dispatch.manifest.inputs.runs if run.arm == "child")


def _arm(desk: Desk, name: str) -> Arm:
    return next(run.arm for run in desk.dispatch.manifest.inputs.runs if run.name == name)


def _tables(desk: Desk) -> dict[str, dict[str, Tensor]]:
    """The tensors that weights of each spec must hold, from models that were rendered here."""
    answers = desk.lab.worker.ask_all([{"job": "table", "model": str(desk.models[name])} for name in desk.specs])
    return {name: _table(name, answer) for name, answer in zip(desk.specs, answers, strict=True)}


def _table(spec: str, answer: Mapping[str, Any]) -> dict[str, Tensor]:
    if "error" in answer:
        raise ResultError(Problem("the rendered model can't be built", str(answer["error"])[:200], path=spec[:12]))
    return {name: Tensor(row["dtype"], tuple(row["shape"])) for name, row in answer["tensors"].items()}


def scored(
    desk: Desk, returned: Returned, runs: Iterable[Run], splits: Callable[[Run], Mapping[str, Split]]
) -> list[RunScore | ResultError]:
    """Score runs on splits that were laid out here; for a run that can't be scored, why."""
    questions = [Question(run, desk.models[run.spec], returned.weights[run.name], splits(run)) for run in runs]
    return score(desk.lab.worker, desk.dispatch.manifest.inputs.domain, questions)


def lay_out(desk: Desk, splits: Mapping[str, Arrays]) -> dict[str, Split]:
    """Write the arbiter's own copy of splits where the torch service can read them."""
    from safetensors.numpy import save

    placed = {}
    for name, arrays in splits.items():
        write_whole(desk.scratch / f"{name}.safetensors", save(dict(arrays)))
        placed[name] = Split(desk.scratch / f"{name}.safetensors", 0, len(next(iter(arrays.values()))))
    return placed


def finished_runs(desk: Desk, returned: Returned) -> list[Run]:
    """The runs whose weights came back."""
    return [run for run in desk.dispatch.manifest.inputs.runs if run.name in returned.weights]


def record_once(desk: Desk, facts: Trained | Screened) -> None:
    """Record an event unless an interrupted try recorded it already.

    Raises:
        ResultError: other weights were recorded for this dispatch: results count once.
    """
    for known in desk.lab.facts(desk.dispatch.cycle):
        if isinstance(known, Trained) and isinstance(facts, Trained) and _bundle(known) == _bundle(facts):
            if known.weights != facts.weights:
                raise ResultError(Problem("other results of this dispatch are on record", advice="bring those"))
            return
        if isinstance(known, Screened) and isinstance(facts, Screened):
            return
    desk.lab.record(desk.dispatch.cycle, desk.dispatch.manifest.inputs.domain, facts)


def _bundle(facts: Trained) -> tuple[str, int]:
    return facts.stage, facts.batch


def recorded(lab: Lab, cycle: str, kind: type[F]) -> F | None:
    """The first event of a kind that a cycle has recorded."""
    return next((facts for facts in lab.facts(cycle) if isinstance(facts, kind)), None)
