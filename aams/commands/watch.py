"""Commands that watch over a lab: heartbeat, rechallenge, rollback, status, explain."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from aams.commands.output import emit, note, table
from aams.commands.request import DOMAINS, add_lane_argument

if TYPE_CHECKING:
    from aams.cycle import Ended, Lab
    from aams.standing import DomainStanding


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    heartbeat = subparsers.add_parser(
        "heartbeat", parents=[common], help="for cron: end what is overdue, then run a cycle or say what is missing"
    )
    heartbeat.add_argument(
        "--domain", choices=DOMAINS, action="append", help="default: every domain, one after another"
    )
    heartbeat.add_argument("--children", type=int, default=4, metavar="N", help="trials before the screen (default: 4)")
    add_lane_argument(heartbeat)
    heartbeat.set_defaults(command=_heartbeat)

    rechallenge = subparsers.add_parser(
        "rechallenge", parents=[common], help="test the champion against its predecessor again"
    )
    rechallenge.add_argument("--domain", choices=DOMAINS, default="language")
    add_lane_argument(rechallenge)
    rechallenge.set_defaults(command=_rechallenge)

    rollback = subparsers.add_parser("rollback", parents=[common], help="make an earlier champion champion again")
    rollback.add_argument("--to", required=True, metavar="GENERATION", help="e.g. G000")
    rollback.add_argument("--reason", required=True, help="goes on record")
    rollback.add_argument("--domain", choices=DOMAINS, default="language")
    rollback.add_argument("--no-approve", action="store_true", help="leave it waiting for `aams approve`")
    rollback.set_defaults(command=_rollback)

    status = subparsers.add_parser(
        "status", parents=[common], help="state, budgets, karma, error spent, false promotions"
    )
    status.set_defaults(command=_status)

    explain = subparsers.add_parser("explain", parents=[common], help="why a generation was accepted or rejected")
    explain.add_argument("generation", help="e.g. G007")
    explain.add_argument("--domain", choices=DOMAINS, default="language")
    explain.set_defaults(command=_explain)


def _heartbeat(args: argparse.Namespace) -> int:
    from aams import cycle
    from aams.commands.request import check_children

    check_children(args.children)
    beats: list[tuple[dict[str, Any], list[str]]] = []
    with cycle.open_lab(args.root) as lab:
        for domain in args.domain or DOMAINS:
            beats += [_told(lab, ended) for ended in cycle.end_overdue(lab, domain)]
            beats.append(_beat(lab, domain, args))
    emit(args, {"beats": [data for data, _ in beats]}, [line for _, lines in beats for line in lines])
    return 0


def _beat(lab: Lab, domain: str, args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Run a scheduled cycle, or tell what is missing."""
    from aams.canonical import to_data
    from aams.commands.loop import one_cycle, train_on
    from aams.cycle import due, lost, recall, rechallenge, scheduled

    if lost(lab, domain):
        return _told(lab, recall(lab, domain))
    if due(lab, domain):
        note(f"{domain}: the champion is due for a re-challenge")
        return _told(lab, train_on(lab, rechallenge(lab, domain, "schedule"), args.lane, args.json))
    request, missing = scheduled(lab, domain, args.children)
    if missing:
        lines = [f"{domain}: {found.what}: {found.got}; {found.advice}" for found in missing]
        return {"domain": domain, "missing": to_data(missing)}, lines
    note(f"{domain}: running a cycle with seed {request.seed}")
    return _told(lab, one_cycle(lab, request, args.lane, args.json))


def _told(lab: Lab, ended: Ended) -> tuple[dict[str, Any], list[str]]:
    from aams.commands.outcome import outcome_data, outcome_lines

    return outcome_data(lab, ended), outcome_lines(lab, ended)


def _rechallenge(args: argparse.Namespace) -> int:
    from aams import cycle
    from aams.commands.loop import train_on

    with cycle.open_lab(args.root) as lab:
        ended = train_on(lab, cycle.rechallenge(lab, args.domain), args.lane, args.json)
        emit(args, *_told(lab, ended))
    return 0


def _rollback(args: argparse.Namespace) -> int:
    from aams import cycle

    with cycle.open_lab(args.root, approves=not args.no_approve) as lab:
        emit(args, *_told(lab, cycle.roll_back(lab, args.domain, args.to, args.reason)))
    return 0


def _status(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.standing import standing_of

    standing = standing_of(args.root)
    lines = [line for one in standing.domains for line in _domain_lines(one, standing.alpha)]
    left, whole = standing.month_left, standing.month_flops
    lines.append(f"Compute of {standing.month}: {left:,} of {whole:,} training FLOPs are left ({left / whole:.1%}).")
    emit(args, to_data(standing), lines)
    return 0


def _domain_lines(one: DomainStanding, alpha: float) -> list[str]:
    placebos, replay = one.placebos, one.replay
    rows = [
        ("champion", one.champion or "none yet"),
        ("cooldown left", f"{one.cooldown_s:,} s" if one.cooldown_s else "over"),
        ("karma", f"{one.karma} of {one.karma_needed} that a schedule needs for an attempt"),
        ("error spent", f"{one.alpha_spent:.6f} of {alpha:g} in {one.attempts} attempts, {one.discoveries} accepted"),
        ("evidence needed", f"an e-value of {one.evidence_needed:,.0f} for the next attempt"),
        ("placebos", f"{placebos.promoted} of {placebos.revealed} accepted; {_share(placebos.low, placebos.high)}"),
        (
            "control replay",
            f"{replay.promoted} of {replay.draws} draws from {replay.runs} runs accepted; "
            f"{_share(replay.low, replay.high)}",
        ),
        *(("last decisions" if index == 0 else "", text) for index, text in enumerate(one.decisions)),
    ]
    return [f"{one.domain}: {one.state}", *(f"  {line}" for line in table(rows)), ""]


def _share(low: float, high: float) -> str:
    return f"95 % interval {low:.2%} to {high:.2%}"


def _explain(args: argparse.Namespace) -> int:
    from aams.standing import explain

    sentences = explain(args.root, args.domain, args.generation)
    emit(args, {"generation": f"{args.domain}/{args.generation}", "sentences": list(sentences)}, list(sentences))
    return 0
