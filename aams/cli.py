"""The `aams` command: finds the lab, runs one command, turns every failure into one clear sentence.

Exit status 0: done (a rejection is done); 1: bad input or a failed system; 2: usage; 3: a bug, with a report; 130:
interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from aams.errors import AamsError


def common_parser() -> argparse.ArgumentParser:
    """Options that every command takes."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    common.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="the lab to work in (default: this folder)"
    )
    common.add_argument("--annotations", action="store_true", help="print errors as GitHub annotations")
    return common


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; completions and docs are generated from it."""
    from aams.commands import cycles, gate, github, history, keys, plots, specs, watch

    parser = argparse.ArgumentParser(
        prog="aams", description="Evolve neural-network architectures, and prove the gains."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    common = common_parser()
    for group in (specs, cycles, history, plots, keys, watch, gate, github):
        group.register(subparsers, common)
    completion = subparsers.add_parser("completion", parents=[common], help="print a completion script for your shell")
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    completion.set_defaults(command=_completion)
    return parser


def _completion(args: argparse.Namespace) -> int:
    import shtab

    script = shtab.complete(build_parser(), args.shell)
    print(json.dumps({"script": script}) if args.json else script)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit status."""
    return run(build_parser(), argv)


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn what goes wrong into an exit status and a sentence on stderr."""
    from aams.commands.output import complain, note

    args = parser.parse_args(argv)
    args.root = args.root.resolve()
    try:
        status: int = args.command(args)
        sys.stdout.flush()
        return status
    except AamsError as error:
        complain(error, args.annotations)
        return error.exit_status
    except KeyboardInterrupt:
        note("interrupted; nothing is lost: the same command goes on from here")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        report, *traceback = _report(args.root)
        note(f"error: a bug in AAMS: {type(error).__name__}: {error}; please report it with {report}", *traceback)
        return 3


def _report(root: Path) -> list[str]:
    """Keep the traceback and name its file; lines to show where the folder can't be written."""
    import platform
    import traceback

    machine = f"Python {platform.python_version()} on {platform.platform()}"
    text = f"aams {' '.join(sys.argv[1:])}\n{machine}\n\n{traceback.format_exc()}"
    try:
        path = root / ".aams" / "bug-report.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return [str(path)]
    except OSError:
        return ["this traceback:", *(f"| {line}" for line in text.splitlines())]
