"""Commands about what was recorded: log, show, diff, verify. They change nothing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from aams.commands.output import emit, table
from aams.commands.request import DOMAINS


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    log = subparsers.add_parser("log", parents=[common], help="list cycles, newest first")
    log.add_argument("--domain", choices=DOMAINS)
    log.add_argument("-n", type=int, default=20, help="at most so many (default: 20)")
    log.set_defaults(command=_log)

    show = subparsers.add_parser("show", parents=[common], help="one generation: its report and its files")
    show.add_argument("generation", help="e.g. G001")
    show.add_argument("--domain", choices=DOMAINS, default="language")
    show.set_defaults(command=_show)

    diff = subparsers.add_parser("diff", parents=[common], help="what differs between two generations' specs")
    diff.add_argument("generation", help="e.g. G001")
    diff.add_argument("other", nargs="?", help="default: its parent")
    diff.add_argument("--domain", choices=DOMAINS, default="language")
    diff.set_defaults(command=_diff)

    verify = subparsers.add_parser("verify", parents=[common], help="re-check every hash, signature and decision")
    verify.add_argument("--against", type=Path, metavar="FILE", help="a checkpoint that was kept elsewhere")
    verify.set_defaults(command=_verify)

    checkpoint = subparsers.add_parser(
        "checkpoint", parents=[common], help="print the ledger's size and root, to be kept elsewhere"
    )
    checkpoint.set_defaults(command=_take_checkpoint)


def _log(args: argparse.Namespace) -> int:
    from aams import views
    from safety.ledger import read_ledger

    rows = [row for row in views.experiments(read_ledger(args.root)) if args.domain in (None, row["domain"])]
    shown = rows[::-1][: max(0, args.n)]
    lines = [("time", "domain", "generation", "outcome", "why")]
    lines += [
        (row["time"], row["domain"], row["generation"] or "-", row["outcome"], _short(row["reason"])) for row in shown
    ]
    emit(args, {"cycles": shown}, table(lines) if rows else ["No cycles yet: run `make cycle`."])
    return 0


def _short(text: str) -> str:
    return text if len(text) <= 90 else text[:87] + "..."


def _show(args: argparse.Namespace) -> int:
    import json

    from aams.files import list_files, read_bounded

    place = _directory(args.root, args.domain, args.generation)
    report = read_bounded(place / "EVAL.md", 1 << 20).decode("utf-8", "replace")
    metrics = json.loads(read_bounded(place / "metrics.json", 1 << 20))
    files = list_files(place)
    lines = [
        *report.rstrip().split("\n"),
        "",
        f"Files in {place.relative_to(args.root)}:",
        *(f"  {name}" for name in files),
    ]
    emit(args, {"directory": str(place.relative_to(args.root)), "files": list(files), "metrics": metrics}, lines)
    return 0


def _directory(root: Path, domain: str, name: str) -> Path:
    """Where a generation lies, by its name in the ledger."""
    from aams.errors import failure
    from safety.archive import generation_path
    from safety.ledger import read_ledger
    from safety.lineage import Lineage
    from safety.state import fold

    generations = fold(read_ledger(root)).lineages.get(domain, Lineage()).generations
    for generation in generations:
        if generation.name == name and generation.archive:
            return generation_path(root, domain, generation.directory)
    known = ", ".join(generation.name for generation in generations if generation.archive) or "none yet"
    raise failure(f"no such generation in {domain}", name, f"there are: {known}")


def _parent(place: Path) -> str:
    return (place / "parent_gen.txt").read_text(encoding="ascii").strip()


def _diff(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.errors import failure
    from aams.strict import path_text
    from compiler import spec
    from evolution.diff import diff

    place = _directory(args.root, args.domain, args.generation)
    other = args.other or _parent(place)
    if other == "none":
        raise failure(f"{args.generation} is a root and has no parent", advice="name a second generation")
    before = spec.read(_directory(args.root, args.domain, other) / "spec.yaml")
    after = spec.read(place / "spec.yaml")
    changes = diff(before.tree, after.tree)
    lines = [f"{path_text(change.path)}: {_shown(change.before)} → {_shown(change.after)}" for change in changes]
    data = {"from": other, "to": args.generation, "changes": [to_data(change) for change in changes]}
    emit(args, data, lines or [f"{args.generation} and {other} are the same architecture."])
    return 0


def _shown(value: object) -> str:
    import json

    return "nothing" if value is None else json.dumps(value)


def _verify(args: argparse.Namespace) -> int:
    from aams import views
    from aams.canonical import to_data
    from aams.errors import AamsError
    from evaluator.recount import recount_in
    from safety.checkpoint import check_against
    from safety.ledger import read_ledger
    from safety.signers import revoked_fingerprints, revoked_path
    from safety.verify import verify

    report = verify(args.root)
    if not report.broken:
        ledger = read_ledger(args.root)
        if args.against:
            revoked = revoked_fingerprints(revoked_path(args.root))
            check_against(ledger, revoked, _checkpoint(args.against))
        report = verify(args.root, views.acceptable(args.root, ledger), recount_in)
    if report.broken:
        if args.json:
            emit(args, to_data(report), [])
        raise AamsError(report.broken)
    weights = f"weights of {report.weights_checked} match"
    if report.weights_absent:
        weights += f", {report.weights_absent} not on this machine (`aams reproduce` restores them)"
    signed = "signatures unchecked: ssh-keygen is not installed"
    if report.promotions is not None:
        signed = f"{report.promotions} promotions signed by two keys"
    decided = f"{report.decisions} decisions recounted"
    if report.decisions_elsewhere:
        decided += f", {report.decisions_elsewhere} made under another contract"
    counted = (
        f"{report.entry_count} entries, {report.generation_count} generations ({weights}), {decided}, {signed}, "
        f"{report.view_count} views"
    )
    emit(args, to_data(report), [f"All right: {counted}."])
    return 0


def _checkpoint(path: Path) -> Any:
    from aams.canonical import from_data
    from aams.files import read_bounded
    from aams.strict import read_json
    from safety.checkpoint import Checkpoint

    limit = 1 << 20
    return from_data(Checkpoint, read_json(read_bounded(path, limit), str(path), limit), str(path))


def _take_checkpoint(args: argparse.Namespace) -> int:
    import json

    from aams.canonical import to_data
    from safety.checkpoint import take
    from safety.ledger import read_ledger
    from safety.signers import revoked_fingerprints, revoked_path

    taken = to_data(take(read_ledger(args.root), revoked_fingerprints(revoked_path(args.root))))
    emit(args, taken, [json.dumps(taken, sort_keys=True)])
    return 0
