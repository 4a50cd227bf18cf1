"""How soon does a lane train? Seconds from the submission of a bundle to its first training step, lane by lane.

    python benchmarks/lane_overhead.py [--domain D] [--repetitions N] [--json]

One bundle, two runs of a few steps of the domain's baseline, goes through every lane: the local one, Ray on a cluster
that runs already and on one that is started for it, Kaggle at the tests' emulator, whose machine is this one. The floor
is a bare `python -m trainer` on the unpacked bundle. They take turns, and the order turns around each time. A step
counts when the trainer tells of it. `first` is when it told; `heard` is when the command knows: at once, but at Kaggle,
where a log is asked for again and again and followed for five seconds each time. There `first` is by the site's clock,
which is this machine's. Medians.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from aams.bundle import unpack
from aams.dispatch import Plan, dispatch, plan_runs
from aams.lanes import Lane, train
from aams.lanes.base import is_event
from aams.lanes.kaggle import Kaggle
from aams.lanes.local import PARALLEL_RUNS, Local
from aams.lanes.ray import ADDRESS, Ray
from aams.records import Envelope
from compiler import spec as specs
from compiler.cost import estimate
from domains import DOMAINS, prepare
from safety.contract import CONTRACT_PATH, Contract, load_contract
from safety.manifest import new_nonce

ROOT = Path(__file__).resolve().parents[1]
STEPS = 16
"""Of a run: so few that each of them is told."""
TARGET = 1.5
"""Of the local lane, over a bare trainer."""
BARE, LOCAL = "bare trainer", "local"


class QuickKaggle(Kaggle):
    """The Kaggle lane, asking as often as it can, so that it hears sooner."""

    POLL_S: ClassVar[float] = 0.2


@dataclass(frozen=True, slots=True)
class Start:
    """One submission: seconds to the first step, and until it was heard of."""

    lane: str
    first_s: float
    heard_s: float


Measure = Callable[[], Start]


def made(folder: Path, domain: str, contract: Contract) -> Path:
    """A bundle of two short runs."""
    prepared = prepare(domain, cache=folder)
    root = specs.read(ROOT / "domains" / domain / "baseline.yaml")
    costs = {root.id: estimate(root.tree, prepared.interface)}
    compute = STEPS * costs[root.id].step_flops
    runs = plan_runs("root", root, [], costs, compute, "benchmark", range(PARALLEL_RUNS))
    plan = Plan("language-0123456789ab", "root", 0, domain, "", "", "G000", "", (root,), runs, compute)
    envelope = Envelope(new_nonce(), "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", "")
    return dispatch(folder / "dispatch", plan, prepared, contract, lambda inputs: envelope).archive


def bare(archive: Path) -> Start:
    """Start the trainer as a person would, without any lane."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "bundle")
        unpack(archive, place)
        argv = [sys.executable, "-m", "trainer", str(place), str(Path(folder, "out")), "--workers", str(PARALLEL_RUNS)]
        environment = {**os.environ, "PYTHONPATH": str(place)}
        began = time.monotonic()
        with subprocess.Popen(argv, env=environment, cwd=folder, stdout=subprocess.PIPE) as process:
            told = [time.monotonic() for line in process.stdout or () if is_step(line)]
    return Start(BARE, told[0] - began, told[0] - began)


def through(name: str, make: Callable[[Path], Lane], archive: Path) -> Start:
    """Submit to a lane that tells at once."""
    with tempfile.TemporaryDirectory() as folder:
        heard_s = followed(make(Path(folder)), archive, Path(folder))
    return Start(name, heard_s, heard_s)


def through_kaggle(site: Any, contract: Contract, archive: Path) -> Start:
    """Submit to an emulated Kaggle, whose log says when a line came."""
    with tempfile.TemporaryDirectory() as folder:
        lane = QuickKaggle(Path(folder), contract)
        began = time.monotonic()
        heard_s = followed(lane, archive, Path(folder))
        handle = lane.handle_of(archive)
        session = site.kernel(f"ann/{handle.name}").last
        first = next(line["time"] for line in session.log if is_step(line["data"].encode()))
        lane.discard(handle)
    return Start("kaggle, emulated", session.started_at + first - began, heard_s)


def followed(lane: Lane, archive: Path, place: Path) -> float:
    """Have a bundle trained to its end; seconds until the first step was heard of."""
    heard: list[float] = []

    def hear(event: Mapping[str, Any]) -> None:
        if event["event"] == "step":
            heard.append(time.monotonic())

    began = time.monotonic()
    train(lane, archive, place / "returned", hear)
    return heard[0] - began


def is_step(line: bytes) -> bool:
    """Whether a line tells of a step."""
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        return is_event(found) and found["event"] == "step"
    return False


@contextlib.contextmanager
def environment(**changes: str) -> Iterator[None]:
    """Change this process's environment for a while."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def contestants(folder: Path, archive: Path, contract: Contract) -> Iterator[tuple[list[Measure], list[str]]]:
    """What can be measured here, and why the rest can't be."""
    sys.path.insert(0, str(ROOT))
    sys.path.append(str(ROOT / "tests"))
    from kaggle_emulator.emulator import KaggleEmulator, why_not

    from tests.aams.lanes.ray_cluster import RayCluster

    measures: list[Measure] = [
        lambda: bare(archive),
        lambda: through(LOCAL, lambda place: Local(place, contract), archive),
    ]
    skipped = []
    with contextlib.ExitStack() as stack:
        if find_spec("ray"):
            cluster = stack.enter_context(RayCluster(PARALLEL_RUNS))

            def on_cluster() -> Start:
                with environment(**cluster.environment()):
                    return through("ray, a cluster that runs", lambda place: Ray(place, contract), archive)

            measures.append(on_cluster)
            measures.append(lambda: through("ray, started here", lambda place: Ray(place, contract), archive))
        else:
            skipped.append("ray: pip install --require-hashes -r requirements/ray.lock")
        if find_spec("kagglesdk") and not why_not():
            site = stack.enter_context(KaggleEmulator(folder / "kaggle"))

            def at_kaggle() -> Start:
                with environment(**site.environment("ann")):
                    return through_kaggle(site, contract, archive)

            measures.append(at_kaggle)
        else:
            skipped.append(f"kaggle: {why_not() or 'pip install --require-hashes -r requirements/kaggle.lock'}")
        yield measures, skipped


def sum_up(domain: str, starts: Sequence[Start], skipped: Sequence[str] = ()) -> dict[str, Any]:
    """What all submissions come to; a ratio is the median over turns."""
    names = sorted({one.lane for one in starts}, key=lambda name: (name != BARE, name))
    own = {name: [one for one in starts if one.lane == name] for name in names}

    def over(name: str, peer: str) -> float:
        pairs = zip(own[name], own[peer], strict=True)
        return statistics.median(ours.first_s / theirs.first_s for ours, theirs in pairs)

    lanes = {
        name: {
            "first_s": statistics.median(one.first_s for one in own[name]),
            "heard_s": statistics.median(one.heard_s for one in own[name]),
            "over_local": over(name, LOCAL),
            "over_bare": over(name, BARE),
        }
        for name in names
    }
    return {
        "benchmark": "lane_overhead",
        "domain": domain,
        "lanes": lanes,
        "skipped": list(skipped),
        "ratio": lanes[LOCAL]["over_bare"],
        "target": TARGET,
    }


def table(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [
        f"{result['domain'] + ', to the first step':<28}{'first':>9}{'heard':>9}{'over local':>12}{'over bare':>11}"
    ]
    for name, row in result["lanes"].items():
        seconds = f"{row['first_s']:>7.2f} s{row['heard_s']:>7.2f} s"
        lines.append(f"{name:<28}{seconds}{row['over_local']:>11.2f}x{row['over_bare']:>10.2f}x")
    lines += [f"skipped {why}" for why in result["skipped"]]
    return "\n".join([*lines, f"{'local over bare':<28}{result['ratio']:>40.2f}x   target <= {result['target']:g}x"])


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Seconds from a bundle's submission to its first training step.")
    parser.add_argument("--domain", choices=tuple(DOMAINS), default="language")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N", help="turns of each (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    os.environ.pop(ADDRESS, None)
    contract = load_contract(ROOT / CONTRACT_PATH)
    with tempfile.TemporaryDirectory() as folder:
        archive = made(Path(folder), args.domain, contract)
        with contestants(Path(folder), archive, contract) as (measures, skipped):
            turns = [measures[:: 1 if turn % 2 else -1] for turn in range(args.repetitions)]
            starts = [measure() for turn in turns for measure in turn]
    result = sum_up(args.domain, starts, skipped)
    print(json.dumps(result, indent=2) if args.json else table(result))


if __name__ == "__main__":
    main()
