"""What does Ray cost? Overhead of a task, and what a second worker gains, against the local lane.

    python benchmarks/ray_scaling.py [--domain D] [--runs N] [--compute FLOPS] [--repetitions N] [--json]

One bundle, the domain's baseline from several seeds, is trained by both lanes with one worker and with two; the four
take turns. Ray's cluster is started on this machine for each. Start-up, which is until the trainer's first word, is
told apart. The overhead of a task is the workers' time after start-up that no run's own clock has counted, divided by
the runs. Efficiency is the time of one worker over twice the time of two, the median of all repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from aams.dispatch import Dispatch, Plan, dispatch, plan_runs
from aams.lanes import train
from aams.lanes.child import Child
from aams.lanes.local import Local
from aams.lanes.ray import ADDRESS, Ray
from aams.records import Envelope, Inputs
from compiler import spec as specs
from compiler.cost import estimate
from domains import DOMAINS, prepare
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.manifest import new_nonce

ROOT = Path(__file__).resolve().parents[1]
TARGET_EFFICIENCY = 0.9
"""Of the local lane's."""


class OneLocal(Local):
    """The local lane, one run at a time."""

    WORKERS = 1


class OneRay(Ray):
    """The Ray lane, one run at a time."""

    WORKERS = 1


LANES: Mapping[tuple[str, int], type[Child]] = {
    ("local", 1): OneLocal,
    ("local", 2): Local,
    ("ray", 1): OneRay,
    ("ray", 2): Ray,
}


@dataclass(frozen=True, slots=True)
class Session:
    """One training of the bundle.

    Attributes:
        start_s: until the trainer's first word.
        rest_s: from there to the results.
        runs_s: of all runs, by their own clocks.
    """

    lane: str
    workers: int
    start_s: float
    rest_s: float
    runs_s: float


def made(folder: Path, domain: str, count: int, compute: int, contract: Contract) -> Dispatch:
    """A bundle of equal runs."""

    def envelope(inputs: Inputs) -> Envelope:
        return Envelope(new_nonce(), "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", "")

    prepared = prepare(domain, cache=folder)
    root = specs.read(ROOT / "domains" / domain / "baseline.yaml")
    costs = {root.id: estimate(root.tree, prepared.interface)}
    runs = plan_runs("root", root, [], costs, compute, "benchmark", range(count))
    plan = Plan("benchmark", "root", 0, domain, "", "", "G000", "", (root,), runs, compute)
    return dispatch(folder / "dispatch", plan, prepared, contract, envelope)


def measure(lane: str, workers: int, sent: Dispatch, contract: Contract) -> Session:
    """Train the bundle once."""
    heard: list[float] = []
    with tempfile.TemporaryDirectory() as place:
        started = time.monotonic()
        returned = train(
            LANES[lane, workers](Path(place), contract),
            sent.archive,
            Path(place, "returned"),
            lambda event: heard.append(time.monotonic()),
        )
        ended = time.monotonic()
        results = json.loads((returned / "results.json").read_bytes())
    runs_s = sum(run["timing"]["wall_s"] for run in results["runs"])
    return Session(lane, workers, heard[0] - started, ended - heard[0], runs_s)


def sum_up(domain: str, runs: int, sessions: Sequence[Session]) -> dict[str, Any]:
    """What all sessions come to."""
    of = {key: [one for one in sessions if (one.lane, one.workers) == key] for key in LANES}
    rest_s = {key: statistics.median(one.rest_s for one in own) for key, own in of.items()}
    lanes = {}
    for lane in ("local", "ray"):
        overheads = [(one.workers * one.rest_s - one.runs_s) / runs for one in of[lane, 1]]
        lanes[lane] = {
            "start_s": statistics.median(one.start_s for one in of[lane, 2]),
            "one_worker_s": rest_s[lane, 1],
            "two_workers_s": rest_s[lane, 2],
            "task_overhead_s": statistics.median(overheads),
            "efficiency": rest_s[lane, 1] / (2 * rest_s[lane, 2]),
        }
    return {
        "benchmark": "ray_scaling",
        "domain": domain,
        "runs": runs,
        "run_s": statistics.median(one.runs_s / runs for one in of["local", 1]),
        "lanes": lanes,
        "relative_efficiency": lanes["ray"]["efficiency"] / lanes["local"]["efficiency"],
        "target": TARGET_EFFICIENCY,
        "sessions": [asdict(one) for one in sessions],
    }


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Overhead of a task on Ray, and what a second worker gains.")
    parser.add_argument("--domain", choices=tuple(DOMAINS), default="language")
    parser.add_argument("--runs", type=int, default=8, metavar="N", help="of the bundle (default: 8)")
    parser.add_argument("--compute", type=int, metavar="FLOPS", help="of each run (default: the domain's)")
    parser.add_argument("--repetitions", type=int, default=3, metavar="N", help="turns of each (default: 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if find_spec("ray") is None:
        why = "pip install --require-hashes -r requirements/ray.lock"
        print(json.dumps({"benchmark": "ray_scaling", "skipped": why}) if args.json else f"skipped: {why}")
        return
    os.environ.pop(ADDRESS, None)
    contract = load_contract(ROOT / CONTRACT_PATH)
    with tempfile.TemporaryDirectory() as folder:
        sent = made(Path(folder), args.domain, args.runs, args.compute or DOMAINS[args.domain].COMPUTE_FLOPS, contract)
        sessions = [measure(*key, sent, contract) for _ in range(args.repetitions) for key in LANES]
    result = sum_up(args.domain, args.runs, sessions)
    print(json.dumps(result, indent=2) if args.json else table(result))


def table(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [f"{result['domain']}, {result['runs']} runs of {result['run_s']:.1f} s{'local':>18}{'ray':>10}"]
    names = {
        "start_s": "start-up, s",
        "one_worker_s": "one worker, s",
        "two_workers_s": "two workers, s",
        "task_overhead_s": "overhead of a task, s",
        "efficiency": "efficiency from 1 to 2 workers",
    }
    for key, name in names.items():
        lines.append(f"{name:<32}{result['lanes']['local'][key]:>12.2f}{result['lanes']['ray'][key]:>10.2f}")
    ratio, target = result["relative_efficiency"], result["target"]
    return "\n".join([*lines, f"{'ray over local':<32}{ratio:>22.2f}   target >= {target:g}"])


if __name__ == "__main__":
    main()
