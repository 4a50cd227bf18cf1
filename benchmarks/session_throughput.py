"""How much more does one bundle try than a naive loop? Candidates an hour, and the compute that rungs save.

    python benchmarks/session_throughput.py [--domain D] [--children N] [--repetitions N] [--compute FLOPS] [--json]

Children of the domain's baseline, drawn as a cycle draws them, and two controls are trained twice with the same seeds:
as one bundle by the local lane, with the contract's rungs, and as a naive loop does it: one after the other, each to
its end, each in a fresh process of the same lane. The two take turns, a repetition with other children each. The naive
loop also says which child is the best at full budget. Seed noise is the standard deviation of all controls' bits.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aams import lanes
from aams.dispatch import Plan, dispatch, plan_runs
from aams.records import Envelope, Inputs, Run, Spec
from compiler import spec as specs
from compiler.cost import estimate
from domains import DOMAINS, prepare
from domains.base import Prepared
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.gates.fairness import TOLERANCE_PERCENT
from safety.manifest import new_nonce

ROOT = Path(__file__).resolve().parents[1]
TARGET_RATIO = 3.0
TARGET_SAVED = 0.5
TARGET_AS_GOOD = 0.9


@dataclass(frozen=True, slots=True)
class Repetition:
    """One set of children, trained both ways.

    Attributes:
        full_flops, used_flops: of the children, to their end and as rungs let them.
        best_bits: on validation, of the child that is best at full budget.
        chosen_bits: of the best child that the bundle trained to its end.
        control_bits: of the controls.
    """

    bundle_s: float
    naive_s: float
    full_flops: int
    used_flops: int
    best_bits: float
    chosen_bits: float
    control_bits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """What all repetitions share."""

    domain: str
    compute: int
    contract: Contract
    prepared: Prepared


def candidates(setting: Setting, count: int, seed: int) -> tuple[Spec, list[Spec]]:
    """The baseline, and children of it that whole steps can give this compute."""
    parent = specs.read(ROOT / "domains" / setting.domain / "baseline.yaml")

    def admit(child: Spec) -> bool:
        flops = estimate(child.tree, setting.prepared.interface).step_flops
        steps, rest = divmod(setting.compute, flops)
        return 100 * rest <= TOLERANCE_PERCENT * setting.compute and steps <= setting.contract.budget.steps

    drawn = PLANNERS["mutate-champion"].ask(Observation(parent, frozenset()), count, random.Random(seed), admit)
    return parent, [child.spec for child in drawn]


def train(setting: Setting, folder: Path, every: Sequence[Spec], runs: tuple[Run, ...]) -> tuple[float, dict[str, Any]]:
    """Train runs as one bundle in a new folder; gives the lane's seconds and what each run came to."""

    def envelope(inputs: Inputs) -> Envelope:
        return Envelope(new_nonce(), "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", "")

    trained = tuple(spec for spec in every if spec.id in {run.spec for run in runs})
    plan = Plan(folder.name, "trial", 0, setting.domain, "", "", "G000", "", trained, runs, setting.compute)
    made = dispatch(folder, plan, setting.prepared, setting.contract, envelope)
    started = time.monotonic()
    lane = lanes.LANES["local"](made.work, setting.contract)
    returned = lanes.train(lane, made.archive, made.work / "returned", silent)
    spent = time.monotonic() - started
    results = json.loads((returned / "results.json").read_bytes())
    return spent, {run["name"]: run for run in results["runs"]}


def silent(event: Mapping[str, Any]) -> None:
    """Take progress and say nothing."""


def repeat(setting: Setting, count: int, seed: int) -> Repetition:
    """Train one set of children both ways."""
    parent, children = candidates(setting, count, seed)
    every = [parent, *children]
    costs = {spec.id: estimate(spec.tree, setting.prepared.interface) for spec in every}
    runs = plan_runs("trial", parent, children, costs, setting.compute, f"benchmark-{seed}", ())
    with tempfile.TemporaryDirectory() as place:
        bundle_s, climbed = train(setting, Path(place, "bundle"), every, runs)
        naive_s, alone = 0.0, {}
        for run in runs:
            spent, result = train(setting, Path(place, run.name), every, (run,))
            naive_s += spent
            alone |= result
    own = [run for run in runs if run.arm == "child"]
    return Repetition(
        bundle_s=bundle_s,
        naive_s=naive_s,
        full_flops=sum(run.steps * costs[run.spec].step_flops for run in own),
        used_flops=sum(climbed[run.name]["steps"] * costs[run.spec].step_flops for run in own),
        best_bits=min(_bits(alone, run) for run in own),
        chosen_bits=min(_bits(climbed, run) for run in own),
        control_bits=tuple(_bits(alone, run) for run in runs if run.arm == "control"),
    )


def _bits(results: Mapping[str, Any], run: Run) -> float:
    result = results[run.name]
    return float(result["validation"]["bits"]) if result["status"] == "finished" else float("inf")


def sum_up(domain: str, count: int, repetitions: Sequence[Repetition]) -> dict[str, Any]:
    """What all repetitions come to."""
    noise = statistics.stdev([bits for one in repetitions for bits in one.control_bits])
    trained = count * len(repetitions)
    per_hour = 3600 * trained / sum(one.bundle_s for one in repetitions)
    naive_per_hour = 3600 * trained / sum(one.naive_s for one in repetitions)
    as_good = sum(one.chosen_bits <= one.best_bits + noise for one in repetitions)
    return {
        "benchmark": "session_throughput",
        "domain": domain,
        "children": count,
        "candidates_per_hour": per_hour,
        "naive_per_hour": naive_per_hour,
        "ratio": per_hour / naive_per_hour,
        "target_ratio": TARGET_RATIO,
        "saved": 1 - sum(one.used_flops for one in repetitions) / sum(one.full_flops for one in repetitions),
        "target_saved": TARGET_SAVED,
        "seed_noise_bits": noise,
        "as_good": as_good,
        "target_as_good": TARGET_AS_GOOD,
        "repetitions": [asdict(one) for one in repetitions],
    }


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Candidate trainings an hour, in one bundle and in a naive loop.")
    parser.add_argument("--domain", choices=tuple(DOMAINS), default="language")
    parser.add_argument("--children", type=int, default=8, metavar="N", help="candidates of a bundle (default: 8)")
    parser.add_argument("--repetitions", type=int, default=10, metavar="N", help="sets of children (default: 10)")
    parser.add_argument("--compute", type=int, metavar="FLOPS", help="of each training (default: the domain's)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        prepared = prepare(args.domain, cache=Path(cache))
    compute = args.compute or DOMAINS[args.domain].COMPUTE_FLOPS
    setting = Setting(args.domain, compute, load_contract(ROOT / CONTRACT_PATH), prepared)
    repetitions = [repeat(setting, args.children, seed) for seed in range(1, args.repetitions + 1)]
    result = sum_up(args.domain, args.children, repetitions)
    print(json.dumps(result, indent=2) if args.json else table(result))


def table(result: dict[str, Any]) -> str:
    """The result for a person."""
    count = len(result["repetitions"])
    lines = [
        f"{result['domain']}, {count} x {result['children']} candidates",
        f"{'in one bundle':<40}{result['candidates_per_hour']:>8.0f} an hour",
        f"{'one by one, a fresh process each':<40}{result['naive_per_hour']:>8.0f} an hour",
        f"{'ratio':<40}{result['ratio']:>8.2f}x          target >= {TARGET_RATIO:g}x",
        f"{'compute of the children saved by rungs':<40}{result['saved']:>8.1%}           target >= {TARGET_SAVED:.0%}",
        f"{'choice as good as the full-budget best':<40}{result['as_good']:>5} of {count:<9}"
        f"target >= {TARGET_AS_GOOD:.0%}, within {result['seed_noise_bits']:.4f} bits of seed noise",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
