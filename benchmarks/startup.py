"""Does the control loop start at once? Commands against bare Python, and cost estimates per second.

    python benchmarks/startup.py [--rounds N] [--json]

Every command is a fresh process and takes turns with `python -c pass`; what counts is the median of what it takes over
bare Python in the same round, in CPU-seconds: what a clock on the wall shows when the machine has nothing else to do.
Estimates are of every domain's baseline, in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from compiler import cost, spec
from domains import DOMAINS, active_interface

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "domains/language/baseline.yaml"
BARE = ["-c", "pass"]
COMMANDS = {
    "aams --help": (["-m", "aams", "--help"], 0.3),
    "aams validate": (["-m", "aams", "validate", BASELINE], 0.4),
    "aams compile": (["-m", "aams", "compile", BASELINE], 0.5),
}
ESTIMATES_PER_S = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; `holds` says whether the value keeps to its target."""

    what: str
    value: float
    unit: str
    target: float
    holds: bool


def seconds(arguments: list[str]) -> float:
    """CPU-seconds of one Python process.

    Raises:
        CalledProcessError: it failed.
    """
    before = os.times()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def over_bare_python(rounds: int) -> list[Line]:
    """How much longer each command takes than Python itself."""
    extra: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        bare = seconds(BARE)
        for name, (arguments, _) in COMMANDS.items():
            took = seconds(arguments) - bare
            if turn:  # the first round fills caches
                extra[name].append(took)
    medians = {name: statistics.median(took) for name, took in extra.items()}
    return [
        Line(name, medians[name], "CPU-s over bare Python", target, medians[name] < target)
        for name, (_, target) in COMMANDS.items()
    ]


def estimates(domain: str, count: int = 200, rounds: int = 5) -> Line:
    """Cost estimates of a domain's baseline per CPU-second, the median over rounds."""
    tree, interface = spec.read(ROOT / "domains" / domain / "baseline.yaml").tree, active_interface(domain)
    rates = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(count):
            cost.estimate(tree, interface)
        rates.append(count / (time.process_time() - started))
    rate = statistics.median(rates)
    return Line(f"cost of a {domain} spec", rate, "estimates a second", ESTIMATES_PER_S, rate >= ESTIMATES_PER_S)


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Start-up of commands over bare Python, and cost estimates a second.")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="processes of each command (default: 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    lines = [*over_bare_python(args.rounds), *map(estimates, DOMAINS)]
    if args.json:
        print(json.dumps({"benchmark": "startup", "lines": [asdict(line) for line in lines]}, indent=2))
        return
    for line in lines:
        sign, form = ("<", ".2f") if line.unit.startswith("CPU-s") else (">=", ",.0f")
        verdict = "" if line.holds else "  missed"
        print(f"{line.what:<26}{line.value:>8{form}} {line.unit:<23}target {sign} {line.target:{form}}{verdict}")


if __name__ == "__main__":
    main()
