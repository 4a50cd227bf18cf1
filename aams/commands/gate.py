"""The command that looks at a change before anybody reviews it: at its paths, and at the spec in it if there is one."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aams.commands.output import emit
from aams.errors import AamsError, Problem, failure

if TYPE_CHECKING:
    from safety.paths import Change


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the command to the parser."""
    gate = subparsers.add_parser(
        "gate", parents=[common], help="hold a branch against the path policy, and its spec against the gates"
    )
    gate.add_argument("--base", default="main", metavar="REF", help="what it is to be merged into (default: main)")
    gate.set_defaults(command=_gate)


def _gate(args: argparse.Namespace) -> int:
    """Judge HEAD, as far as it is ahead of the base."""
    from aams import git
    from safety.paths import changes_between, check_paths, kind_of

    head, base = git.head_commit(args.root), git.commit_of(args.root, args.base)
    start = git.merge_base(args.root, base, head) if base and head else None
    if head is None or start is None:
        raise failure("HEAD and the base have no history in common", args.base, "fetch it, or name another --base")
    changes = changes_between(args.root, start, head)
    if changes is None:
        raise failure("Git can't compare the two commits", f"{start[:12]} and {head[:12]}")
    findings = check_paths(changes, git.tracked_files(args.root, head) or ())
    if findings:
        against = (Problem(found.what, found.got, found.advice, file=found.subject) for found in findings)
        raise AamsError(*against, *_faults(args.root, head, changes))
    kind = kind_of(changes)
    told = _judge_spec(args.root, start, head, changes[0].path) if kind == "spec" else {}
    lines = [f"{len(changes)} changed files: {kind}, nothing against it"]
    emit(args, {"kind": kind, "files": [change.path for change in changes], **told}, [*lines, *told.get("lines", ())])
    return 0


def _faults(root: Path, head: str, changes: Sequence[Change]) -> Iterator[Problem]:
    """What is wrong with specs as such, so that who must come back anyway need not come back twice."""
    from aams import git
    from compiler import spec
    from safety.paths import PLAIN, SPEC

    for change in changes:
        if change.mode == PLAIN and SPEC.fullmatch(change.path):
            try:
                spec.parse(git.tracked_bytes(root, head, change.path) or b"", change.path)
            except AamsError as error:
                yield from error.problems


def _judge_spec(root: Path, base: str, head: str, path: str) -> dict[str, Any]:
    """Read, price, gate, compile and try a spec as it is committed, beside the champion of the base.

    Raises:
        AamsError: it is not valid, or a gate refuses it.
    """
    from aams import cycle, git
    from aams.commands.outcome import preview_data, preview_lines
    from compiler import spec

    domain = path.split("/")[1]
    one = spec.parse(git.tracked_bytes(root, head, path) or b"", path)
    if one.domain != domain:
        raise failure(f"is a {one.domain} spec", advice=f"move it to specs/{one.domain}/", file=path)
    with tempfile.TemporaryDirectory() as place, git.worktree(root, base, Path(place, "base")) as lab_root:
        file = Path(place, Path(path).name)
        file.write_bytes(git.tracked_bytes(root, head, path) or b"")
        with cycle.open_lab(lab_root) as lab:
            shown = cycle.preview(lab, cycle.Request(domain, 0, 1, "by-hand", file))
    problems = [
        Problem(f"gate {found.gate}: {found.what}", found.got, found.advice, file=path)
        for findings in shown.refused.values()
        for found in findings
    ]
    if problems:
        raise AamsError(*problems)
    return {"spec": one.id, **preview_data(shown), "lines": preview_lines(shown)}
