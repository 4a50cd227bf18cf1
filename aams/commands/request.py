"""What a person asks of one cycle: the same options and the same checks in every command that begins one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aams.cycle import Request

DOMAINS = ("language", "vision", "hybrid")
"""The keys of `domains.DOMAINS`, written out: `aams` starts without importing the domains."""
LANES = ("local", "kaggle", "runner", "ray")
"""The keys of `lanes.LANES`, for the same reason."""
MAX_CHILDREN = 64


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what to try."""
    parser.add_argument("--seed", type=int, required=True, help="equal seed and state, equal cycle")
    parser.add_argument("--domain", choices=DOMAINS, default="language", help="default: language")
    parser.add_argument("--children", type=int, default=4, metavar="N", help="trials before the screen (default: 4)")
    parser.add_argument("--planner", default="mutate-champion", help="who proposes children (default: mutate-champion)")
    parser.add_argument("--spec", type=Path, metavar="FILE", help="try this hand-made child instead of mutants")


def add_lane_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where to train."""
    parser.add_argument("--lane", choices=LANES, default="local", help="where bundles are trained (default: local)")


def check_children(count: int) -> None:
    """See that a number of trials is one.

    Raises:
        AamsError: too few, or too many.
    """
    from aams.errors import failure

    if not 1 <= count <= MAX_CHILDREN:
        raise failure(f"--children must be from 1 to {MAX_CHILDREN}", count)


def request_from(args: argparse.Namespace) -> Request:
    """Check the options and give them as a request.

    Raises:
        AamsError: there is no such planner, or too few or too many children.
    """
    from aams.cycle import Request
    from aams.errors import failure
    from evolution.planners import PLANNERS

    check_children(args.children)
    if args.planner not in PLANNERS:
        raise failure("--planner is unknown", args.planner, "one of " + ", ".join(PLANNERS))
    planner = "by-hand" if args.spec else args.planner
    return Request(args.domain, args.seed, args.children, planner, args.spec)
