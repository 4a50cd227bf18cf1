"""From chosen specs to a frozen, packed bundle: seeds, steps, runs, manifest, archive.

Takes specs and the domain's prepared data, gives a `Dispatch` that any lane can train. Equal arguments give equal
manifest inputs; the nonce and the time are in the envelope. Steps 5 to 7 of a cycle.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aams import bundle
from aams.canonical import digest, sha256
from aams.records import Arm, Cost, Envelope, Inputs, Manifest, Run, Rung, Spec, Stage
from compiler.render import template_digests
from domains.base import Prepared
from safety.contract import Contract, Cut
from safety.manifest import freeze, read_manifest, write_manifest

HERE = Path(__file__).parent.parent
WORK = ".aams/work"
TRIAL_CONTROLS = 2
"""Control runs beside the trials: the screen compares with their mean."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One bundle on its way: what a lane needs. `work` is this dispatch's own directory, kept until the cycle ends."""

    cycle: str
    stage: Stage
    batch: int
    manifest: Manifest
    archive: Path
    work: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What a dispatch trains: runs and the specs they name, and what `Inputs` says of them."""

    cycle: str
    stage: Stage
    batch: int
    domain: str
    generation: str
    sealed: str
    parent: str
    parent_weights: str
    specs: tuple[Spec, ...]
    runs: tuple[Run, ...]
    compute_flops: int


def plan_runs(
    stage: Stage,
    parent: Spec,
    children: Sequence[Spec],
    costs: Mapping[str, Cost],
    compute_flops: int,
    cycle: str,
    pairs: Iterable[int],
) -> tuple[Run, ...]:
    """Lay out the runs of a stage; every run has a seed of its own.

    Args:
        parent: the champion; for a root the spec itself.
        children: trials, or the one child of an attempt; none for a root.
        costs: by spec id; equal training FLOPs decide the steps.
        cycle: id of the cycle: it comes from the seed, the parent and the lab's state, and gives each run its seed.
        pairs: their numbers, one run of each arm for each, in an attempt or of a root.
    """
    arms: list[tuple[str, Arm, int, str]] = []
    if stage == "root":
        arms = [(f"root-{index}", "root", index, parent.id) for index in pairs]
    elif stage == "trial":
        arms = [(f"control-{index}", "control", index, parent.id) for index in range(TRIAL_CONTROLS)]
        arms += [(f"child-{index}", "child", index, child.id) for index, child in enumerate(children)]
    else:
        for index in pairs:
            arms += [
                (f"child-{index}", "child", index, children[0].id),
                (f"control-{index}", "control", index, parent.id),
            ]
    return tuple(
        Run(name, arm, pair, spec, _seed(cycle, stage, name), steps(costs[spec], compute_flops))
        for name, arm, pair, spec in arms
    )


def plan_rungs(runs: Iterable[Run], cuts: Sequence[Cut]) -> tuple[Rung, ...]:
    """Where the children of these runs are compared, in whole numbers; a cut that would keep them all is left out."""
    children = left = sum(run.arm == "child" for run in runs)
    rungs = []
    for cut in cuts:
        keep = -(-children // cut.keep_one_in)
        if keep < left:
            rungs.append(Rung(cut.percent, keep))
            left = keep
    return tuple(rungs)


def steps(cost: Cost, compute_flops: int) -> int:
    """Training steps that a spec gets for the domain's compute."""
    return max(1, compute_flops // cost.step_flops)


def flops(runs: Iterable[Run], costs: Mapping[str, Cost]) -> int:
    """Training FLOPs of runs, by the cost model."""
    return sum(run.steps * costs[run.spec].step_flops for run in runs)


def reserved_flops(stage: Stage, runs: Iterable[Run], costs: Mapping[str, Cost], compute_flops: int) -> int:
    """Training FLOPs that runs are accounted with, never less than they take.

    An attempt's runs count as the domain's whole compute each: their exact sum would tell what the sealed child costs,
    and so whether it is a placebo.
    """
    least = compute_flops if stage == "attempt" else 0
    return sum(max(least, flops([run], costs)) for run in runs)


def pairs_flops(contract: Contract, compute_flops: int) -> int:
    """Training FLOPs that an attempt, or a re-challenge, may come to: all of its pairs."""
    return 2 * contract.promotion.pairs_max * compute_flops


def _seed(cycle: str, stage: str, run: str) -> int:
    """A run's own seed, below 2**31: the same however its pairs are batched."""
    return int(digest({"cycle": cycle, "stage": stage, "run": run})[:12], 16) % 2**31


def dispatch(
    root: Path, plan: Plan, prepared: Prepared, contract: Contract, seal: Callable[[Inputs], Envelope]
) -> Dispatch:
    """Render, freeze and pack a plan.

    Args:
        seal: gives the envelope of the inputs that were declared: nonce, times, signature.

    Returns:
        A dispatch whose archive and manifest are on disk below `.aams/work/<cycle>/<stage>-<batch>/`.
    """
    files = bundle.contents(plan.specs, prepared.interface, prepared.arrays)
    inputs = declare(plan, prepared, contract, files)
    manifest = freeze(inputs, seal(inputs))
    work = _place(root, plan.cycle, plan.stage, plan.batch)
    shutil.rmtree(work, ignore_errors=True)
    archive = bundle.pack(manifest, files, work)
    write_manifest(work / "manifest.json", manifest)
    return Dispatch(plan.cycle, plan.stage, plan.batch, manifest, archive, work)


def declare(plan: Plan, prepared: Prepared, contract: Contract, files: Mapping[str, bytes]) -> Inputs:
    """Everything that a plan's training may depend on: equal arguments give equal inputs, on any machine."""
    return Inputs(
        schema_version=1,
        cycle=plan.cycle,
        stage=plan.stage,
        batch=plan.batch,
        domain=plan.domain,
        generation=plan.generation,
        sealed=plan.sealed,
        parent=plan.parent,
        parent_weights=plan.parent_weights,
        corpus=prepared.corpus_id,
        digests=trusted_digests(prepared, contract),
        files=bundle.digests(files),
        runs=plan.runs,
        rungs=plan_rungs(plan.runs, contract.rungs.get(plan.domain, ())) if plan.stage == "trial" else (),
        compute_flops=plan.compute_flops,
        budget=contract.budget,
        confinement=contract.confinement,
    )


def find(root: Path, cycle: str, stage: Stage, batch: int) -> Dispatch | None:
    """The dispatch that an interrupted cycle left behind, when it is still whole on this machine."""
    work = _place(root, cycle, stage, batch)
    archives = sorted(work.glob("*.zip"))
    if not (work / "manifest.json").exists() or len(archives) != 1:
        return None
    return Dispatch(cycle, stage, batch, read_manifest(work / "manifest.json"), archives[0], work)


def _place(root: Path, cycle: str, stage: Stage, batch: int) -> Path:
    return root / WORK / cycle / f"{stage}-{batch}"


def trusted_digests(prepared: Prepared, contract: Contract) -> dict[str, str]:
    """Digests of what a verdict rests on and what does not travel.

    Templates, evaluator, domains (they draw the holdout), locks, contract, corpus.
    """
    return {
        "templates": digest(dict(template_digests())),
        "evaluator": _digest_of("evaluator", "*.py"),
        "domains": _digest_of("domains", "**/*.py"),
        "lock": _digest_of("requirements", "*.lock"),
        "contract": contract.digest,
        "corpus": prepared.digest,
    }


def _digest_of(room: str, pattern: str) -> str:
    """One digest for all files of a room that match a pattern."""
    files = sorted((HERE / room).glob(pattern))
    return digest({path.relative_to(HERE).as_posix(): sha256(path.read_bytes()) for path in files})
