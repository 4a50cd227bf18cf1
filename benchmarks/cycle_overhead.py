"""How much of a cycle is not training? Wall time of a default cycle outside the trainer, as a share of all of it.

    python benchmarks/cycle_overhead.py [--domain D] [--seed N] [--children N] [--json]

Founds a clean lab from this repository's commit with `aams init`, in a temporary folder. A first cycle warms it up:
it prepares the data and trains the baseline. The second is measured, from the start of the command to its end, against
what the trainers it started took by their own clocks; Python and torch starting up for them counts as outside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TARGET_SHARE = 0.15


def aams(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run `python -m ARGUMENTS --json` in a folder; gives the object it prints.

    Raises:
        CalledProcessError: it failed; what it said is on stderr.
    """
    command = [sys.executable, "-m", *arguments, "--json"]
    answer: dict[str, Any] = json.loads(subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def measure(domain: str, seed: int, children: int) -> dict[str, Any]:
    """Run two cycles in a new lab and take the second apart."""
    with tempfile.TemporaryDirectory() as folder:
        lab = Path(folder, "lab")
        aams(ROOT, "aams", "init", str(lab))
        options = ("--domain", domain, "--children", str(children))
        aams(lab, "aams.run_cycle", "--seed", str(seed), *options)
        started = time.monotonic()
        cycle = aams(lab, "aams.run_cycle", "--seed", str(seed + 1), *options)
        wall_s = time.monotonic() - started
    return take_apart(cycle, wall_s)


def take_apart(cycle: dict[str, Any], wall_s: float) -> dict[str, Any]:
    """The share outside training, from a cycle's row of `logs/experiments.jsonl` and the command's wall time."""
    return {
        "benchmark": "cycle_overhead",
        "domain": cycle["domain"],
        "outcome": cycle["outcome"],
        "wall_s": wall_s,
        "training_s": cycle["wall_s"],
        "share_outside": 1 - cycle["wall_s"] / wall_s,
        "target": TARGET_SHARE,
    }


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description="Share of a default cycle that is spent outside training.")
    parser.add_argument("--domain", choices=("language", "vision", "hybrid"), default="language")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first cycle (default: 1)")
    parser.add_argument("--children", type=int, default=4, metavar="N", help="trials of a cycle (default: 4)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    result = measure(args.domain, args.seed, args.children)
    if args.json:
        print(json.dumps(result, indent=2))
        return
    print(f"{'a warm ' + result['domain'] + ' cycle, ' + result['outcome']:<32}{result['wall_s']:>7.1f} s")
    print(f"{'in the trainer':<32}{result['training_s']:>7.1f} s")
    print(f"{'outside':<32}{result['share_outside']:>7.1%}    target < {TARGET_SHARE:.0%}")


if __name__ == "__main__":
    main()
