"""`python -m aams.run_cycle --seed 7`: one whole cycle, from mutation to decision, decided on this machine.

A domain's very first cycle trains its baseline as G000; the command then goes on to the first mutation. Interrupted,
the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from aams import cli
from aams.commands.keys import ensure_keys
from aams.commands.loop import one_cycle
from aams.commands.outcome import outcome_data, outcome_lines, preview_data, preview_lines
from aams.commands.output import emit, note
from aams.commands.request import add_lane_argument, add_request_arguments, request_from


def build_parser() -> argparse.ArgumentParser:
    """The command line of `run_cycle`."""
    parser = argparse.ArgumentParser(
        prog="python -m aams.run_cycle",
        description="Run one evolution cycle: mutate, gate, train in a lane, recompute, decide, record.",
        parents=[cli.common_parser()],
    )
    add_request_arguments(parser)
    add_lane_argument(parser)
    parser.add_argument("--no-approve", action="store_true", help="leave an accepted child waiting for `aams approve`")
    parser.add_argument("--dry-run", action="store_true", help="show what would be tried, and write nothing")
    parser.set_defaults(command=_run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one cycle and give the exit status."""
    return cli.run(build_parser(), argv)


def _run(args: argparse.Namespace) -> int:
    from aams import cycle

    request = request_from(args)
    if not args.dry_run:
        ensure_keys(args.root)
    with cycle.open_lab(args.root, approves=not args.no_approve) as lab:
        if args.dry_run:
            shown = cycle.preview(lab, request)
            emit(args, preview_data(shown), preview_lines(shown))
            return 0
        ended = one_cycle(lab, request, args.lane, args.json)
        if ended.is_root and ended.outcome == "accepted":
            note(f"{args.domain}/{ended.generation} is the champion. Now the first mutation.")
            ended = one_cycle(lab, request, args.lane, args.json)
        emit(args, outcome_data(lab, ended), outcome_lines(lab, ended))
    return 0


if __name__ == "__main__":
    sys.exit(main())
