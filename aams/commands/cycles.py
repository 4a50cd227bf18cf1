"""Commands that move a lab: propose, train, ingest, abandon, approve, decline, reproduce, rebuild, init."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from aams.commands.keys import ensure_keys
from aams.commands.output import emit, note
from aams.commands.request import DOMAINS, add_lane_argument, add_request_arguments, request_from


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    propose = subparsers.add_parser(
        "propose", parents=[common], help="mutate, gate, freeze and pack a bundle, without training"
    )
    add_request_arguments(propose)
    propose.set_defaults(command=_propose)

    train = subparsers.add_parser("train", parents=[common], help="train a bundle, and pack what came out")
    train.add_argument("bundle", type=Path, help="the bundle's archive")
    train.add_argument("results", type=Path, help="archive to write")
    add_lane_argument(train)
    train.set_defaults(command=_train)

    ingest = subparsers.add_parser("ingest", parents=[common], help="judge what a lane brought back for the open cycle")
    ingest.add_argument("cycle", help="the cycle's id, as `aams propose` told it")
    ingest.add_argument("results", type=Path, help="the folder with results.json and the weights")
    ingest.set_defaults(command=_ingest)

    abandon = subparsers.add_parser("abandon", parents=[common], help="close an open cycle without a verdict")
    abandon.add_argument("cycle", help="the cycle's id")
    abandon.set_defaults(command=_abandon)

    approve = subparsers.add_parser("approve", parents=[common], help="give a generation the second key: it gets HEAD")
    approve.add_argument("generation", help="e.g. G007")
    approve.add_argument("--domain", choices=DOMAINS, default="language")
    approve.set_defaults(command=_approve)

    decline = subparsers.add_parser(
        "decline", parents=[common], help="close a generation that waits for the second key"
    )
    decline.add_argument("generation", help="e.g. G007")
    decline.add_argument("--reason", default="a person declined it", help="goes on record")
    decline.add_argument("--domain", choices=DOMAINS, default="language")
    decline.set_defaults(command=_decline)

    reproduce = subparsers.add_parser("reproduce", parents=[common], help="train a generation again and compare")
    reproduce.add_argument("generation", help="e.g. G001")
    reproduce.add_argument("--domain", choices=DOMAINS, default="language")
    reproduce.set_defaults(command=_reproduce)

    rebuild = subparsers.add_parser(
        "rebuild", parents=[common], help="build a generation's bundle again from the ledger"
    )
    rebuild.add_argument("generation", help="e.g. G001")
    rebuild.add_argument("output", type=Path, help="folder for the archive")
    rebuild.add_argument("--domain", choices=DOMAINS, default="language")
    rebuild.add_argument("--batch", type=int, default=0, metavar="N", help="which of its bundles (default: 0)")
    rebuild.set_defaults(command=_rebuild)

    init = subparsers.add_parser("init", parents=[common], help="make a clean lab from this one, without its history")
    init.add_argument("folder", type=Path, help="a folder that does not exist yet")
    init.set_defaults(command=_init)


def _propose(args: argparse.Namespace) -> int:
    from aams import cycle

    request = replace(request_from(args), trigger=cycle.ELSEWHERE)
    ensure_keys(args.root)
    with cycle.open_lab(args.root) as lab:
        step = cycle.propose(lab, request)
        return _tell(args, lab, step)


def _tell(args: argparse.Namespace, lab: Any, step: Any) -> int:
    """Say what to do with a dispatch, or how the cycle ended."""
    from aams import cycle
    from aams.commands.outcome import outcome_data, outcome_lines

    if isinstance(step, cycle.Ended):
        emit(args, outcome_data(lab, step), outcome_lines(lab, step))
        return 0
    data = {
        "cycle": step.cycle,
        "stage": step.stage,
        "bundle": str(step.archive),
        "runs": len(step.manifest.inputs.runs),
    }
    lines = [
        f"cycle {step.cycle}: {data['runs']} runs ({step.stage}) are frozen in {step.archive}",
        f"When they are trained: aams ingest {step.cycle} FOLDER",
    ]
    emit(args, data, lines)
    return 0


def _train(args: argparse.Namespace) -> int:
    import tempfile

    from aams.bundle import manifest_in
    from aams.commands.progress import training_progress
    from aams.lanes import LANES
    from aams.lanes import train as train_on
    from aams.results_archive import pack_results
    from safety.contract import CONTRACT_PATH, load_contract

    runs = len(manifest_in(args.bundle).inputs.runs)
    contract = load_contract(args.root / CONTRACT_PATH)
    with tempfile.TemporaryDirectory(prefix="aams-") as place:
        with training_progress(args.root, "training", runs, args.json) as report:
            lane = LANES[args.lane](Path(place), contract)
            returned = train_on(lane, args.bundle, Path(place) / "returned", report)
        pack_results(returned, args.results)
        lane.discard(lane.handle_of(args.bundle))
    emit(args, {"results": str(args.results), "runs": runs}, [f"{runs} runs: {args.results}"])
    return 0


def _ingest(args: argparse.Namespace) -> int:
    from aams import cycle

    folder = args.results.absolute()  # torch's process works elsewhere
    with cycle.open_lab(args.root) as lab:
        step = cycle.ingest(lab, cycle.waiting(lab, args.cycle), folder)
        return _tell(args, lab, step)


def _abandon(args: argparse.Namespace) -> int:
    from aams import cycle

    with cycle.open_lab(args.root) as lab:
        return _tell(args, lab, cycle.abandon(lab, args.cycle))


def _approve(args: argparse.Namespace) -> int:
    from aams import cycle

    with cycle.open_lab(args.root) as lab:
        return _tell(args, lab, cycle.approve(lab, args.domain, args.generation))


def _decline(args: argparse.Namespace) -> int:
    from aams import cycle

    with cycle.open_lab(args.root) as lab:
        return _tell(args, lab, cycle.decline(lab, args.domain, args.generation, args.reason))


def _reproduce(args: argparse.Namespace) -> int:
    from aams.commands.progress import training_progress
    from aams.reproduction import reproduce

    name = f"{args.domain}/{args.generation}"
    with training_progress(args.root, f"training {name} again", 0, args.json) as report:
        found = reproduce(args.root, args.domain, args.generation, report)
    lines = [f"{name}: {found.sentence}"]
    emit(args, {"generation": name, "same_bytes": found.same_bytes, "same": found.same, "why": found.sentence}, lines)
    return 0 if found.same else 1


def _rebuild(args: argparse.Namespace) -> int:
    from aams.reproduction import rebuild

    archive = rebuild(args.root, args.domain, args.generation, args.output, args.batch)
    emit(args, {"bundle": str(archive)}, [str(archive)])
    return 0


def _init(args: argparse.Namespace) -> int:
    from aams.founding import found_lab

    count = found_lab(args.root, args.folder)
    note(f"{args.folder}: a clean lab with {count} files and one commit; go there and run `make cycle`")
    emit(args, {"folder": str(args.folder), "files": count}, [])
    return 0
