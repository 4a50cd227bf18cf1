"""What ingesting one dispatch works with, and step 9: what came back is read as hostile and bound to the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from aams.cycle.lab import CACHE, Lab, specs_of
from aams.dispatch import Dispatch, trusted_digests
from aams.errors import Problem, ResultError
from aams.files import write_whole
from aams.records import Arm, Cost, Run, Spec
from compiler.cost import estimate
from compiler.render import render
from domains import prepare
from domains.base import Prepared
from evaluator.holdout import RunScore, Split, score
from evaluator.results import Returned, read_results
from evaluator.weights import Tensor, check_weights
from safety.events import Facts, RunSummary, Screened, Trained

if TYPE_CHECKING:
    from domains.base import Arrays

F = TypeVar("F", bound=Facts)


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
        return self.dispatch.work / "arbiter"


def set_up(lab: Lab, dispatch: Dispatch) -> Desk:
    """Gather what a dispatch trained, and render its models with this checkout's templates.

    Raises:
        ResultError: contract, data, templates or evaluator are not those that were frozen.
    """
    inputs = dispatch.manifest.inputs
    domain = inputs.domain
    prepared = prepare(domain, inputs.corpus, cache=lab.root / CACHE)
    now = trusted_digests(prepared, lab.contract)
    for name in sorted(now.keys() | inputs.digests.keys()):
        if now.get(name) != inputs.digests.get(name):
            advice = f"restore it, or close the cycle: aams abandon {dispatch.cycle}"
            raise ResultError(Problem("changed after the freeze", now.get(name, "nothing"), advice, path=name))
    known = specs_of(lab, dispatch.cycle, domain)
    wanted = {run.spec for run in inputs.runs}
    specs = {name: known[name] for name in sorted(wanted)}
    costs = {name: estimate(spec.tree, prepared.interface) for name, spec in specs.items()}
    desk = Desk(
        lab, dispatch, prepared, specs, costs, {name: dispatch.work / "arbiter" / f"{name}.py" for name in specs}
    )
    for name, spec in specs.items():
        write_whole(desk.models[name], render(spec, prepared.interface).encode("ascii"))
    return desk


def receive(desk: Desk, folder: Path) -> Returned:
    """Step 9: bind results and weights to the frozen manifest, and put on record that they came."""
    returned = read_results(folder, desk.dispatch.manifest, desk.costs)
    tables = {name: _table(desk, name) for name in desk.specs}
    finished = [run for run in returned.results.runs if run.status == "finished"]
    for run in finished:
        check_weights(returned.weights[run.name], tables[run.spec], run.weights)
    results = returned.results
    record_once(
        desk,
        Trained(
            stage=desk.dispatch.stage,
            results=returned.digest,
            runs=tuple(
                RunSummary(
                    name=run.name,
                    arm=_arm(desk, run.name),
                    pair=run.pair,
                    spec=run.spec,
                    status=run.status,
                    reason=run.reason,
                    steps=run.steps,
                    items=run.items,
                    accuracy=run.validation.accuracy if run.validation else None,
                    bits=run.validation.bits if run.validation else None,
                )
                for run in results.runs
            ),
            weights={run.name: run.weights for run in finished},
            isolation=results.isolation,
            cpu_s=round(sum(run.timing.get("cpu_s", 0.0) for run in results.runs), 3),
            wall_s=round(results.timing.wall_s, 3),
        ),
    )
    return returned


def _arm(desk: Desk, name: str) -> Arm:
    return next(run.arm for run in desk.dispatch.manifest.inputs.runs if run.name == name)


def _table(desk: Desk, spec: str) -> dict[str, Tensor]:
    """The tensors that weights of a spec must hold, from a model that was rendered here."""
    answer = desk.lab.worker.ask({"job": "table", "model": str(desk.models[spec])})
    if "error" in answer:
        raise ResultError(Problem("the rendered model can't be built", str(answer["error"])[:200], path=spec[:12]))
    return {name: Tensor(row["dtype"], tuple(row["shape"])) for name, row in answer["tensors"].items()}


def scored(desk: Desk, returned: Returned, run: Run, splits: Mapping[str, Split]) -> RunScore:
    """Score one run on splits that were laid out here."""
    domain = desk.dispatch.manifest.inputs.domain
    return score(desk.lab.worker, run, desk.models[run.spec], returned.weights[run.name], domain, splits)


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
        if isinstance(known, Trained) and isinstance(facts, Trained) and known.stage == facts.stage:
            if known.weights != facts.weights:
                raise ResultError(Problem("other results of this dispatch are on record", advice="bring those"))
            return
        if isinstance(known, Screened) and isinstance(facts, Screened):
            return
    desk.lab.record(desk.dispatch.cycle, desk.dispatch.manifest.inputs.domain, facts)


def recorded(lab: Lab, cycle: str, kind: type[F]) -> F | None:
    """The first event of a kind that a cycle has recorded."""
    return next((facts for facts in lab.facts(cycle) if isinstance(facts, kind)), None)
