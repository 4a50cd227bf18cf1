"""Commands about the repository on GitHub: setup, and what its workflows do. Each looks at how things stand."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from aams.commands.actions import add_actions
from aams.commands.output import emit
from aams.commands.request import DOMAINS, check_children
from aams.errors import AamsError, failure
from aams.github.records import ProposalLane

if TYPE_CHECKING:
    from aams.github.records import PullRequest
    from aams.gitops.receiving import Done
    from aams.gitops.workshop import Site
    from aams.records import Finding

OUTPUTS = "GITHUB_OUTPUT"
SUMMARY = "GITHUB_STEP_SUMMARY"


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    actions, inner = add_actions(subparsers, common, "github", "the repository on GitHub, and what its workflows do")

    def add(name: str, command: Any, text: str, needs_app: bool = False) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = actions.add_parser(name, parents=[inner], help=text)
        added.set_defaults(command=command)
        added.add_argument("--repository", metavar="OWNER/NAME", default="", help="default: GITHUB_REPOSITORY")
        if needs_app:
            text = "id of the App whose check counts"
            added.add_argument("--app", type=int, required=True, metavar="NUMBER", help=text)
        return added

    setup = add("setup", _setup, "hold its settings against .github/, and with --apply make them so", needs_app=True)
    how = setup.add_mutually_exclusive_group()
    how.add_argument("--apply", action="store_true", help="change what differs; without it nothing is changed")
    how.add_argument("--dry-run", action="store_true", help="say what differs, and change nothing: the default")

    due = add("due", _due, "name a domain that a scheduled cycle is due in, or what stands against it")
    propose = add("propose", _propose, "open a proposal: a cycle's first bundle, its branch and its draft pull request")
    propose.add_argument("--domain", choices=DOMAINS, help="without it, every spec that a maintainer wants trained")
    propose.add_argument("--seed", type=int, help="a person's cycle; without it, the schedule's")
    for one in (due, propose):
        one.add_argument("--children", type=int, default=4, metavar="N", help="trials before the screen (default: 4)")

    text = "open a re-challenge of champions that are due, a rollback of those that lost one"
    again = add("rechallenge", _rechallenge, text)
    again.add_argument("--domain", choices=DOMAINS, help="a person asks, whether it is due or not")
    for one in (propose, again):
        one.add_argument("--lane", choices=get_args(ProposalLane), default="hosted", help="where bundles are trained")
    rollback = add("rollback", _rollback, "open a proposal to make an earlier champion champion again")
    rollback.add_argument("--to", required=True, metavar="GENERATION", help="e.g. G000")
    rollback.add_argument("--reason", required=True, help="goes on record")
    rollback.add_argument("--domain", choices=DOMAINS, default="language")
    bundle = add("bundle", _bundle, "bring the bundle that a proposal waits for, or a session's")
    deliver = add("deliver", _deliver, "put a trainer's results where the next sweep, or the runner lane, finds them")
    for one in (bundle, deliver):
        whose = one.add_mutually_exclusive_group(required=True)
        whose.add_argument("--cycle", help="the proposal's")
        whose.add_argument("--session", metavar="NAME", help="of the runner lane")
    bundle.add_argument("--digest", default="", metavar="SHA256", help="of the session's bundle")
    bundle.add_argument("folder", type=Path, help="where it is put")
    deliver.add_argument("archive", type=Path, help="as `aams train` wrote it")
    add("waiting", _waiting, "count open proposals, and those that somebody must work on")
    add("sessions", _sessions, "bring bundles to Kaggle, and their results where the next sweep finds them")
    add("receive", _receive, "take in results that are ready, and freeze the bundles that are due")
    add("judge", _judge, "post the required check of pull requests that are not the bot's", needs_app=True)
    add("arbitrate", _arbitrate, "judge what came back, and let in what is decided", needs_app=True)
    add("drift", _drift, "find what is not as it was recorded or declared, and keep an issue of it", needs_app=True)
    add("promote", _promote, "merge what an owner approved, and put it on record", needs_app=True)

    fetch = subparsers.add_parser("fetch", parents=[common], help="bring a champion's weights from its release")
    fetch.add_argument("generation", help="e.g. G007")
    fetch.add_argument("--domain", choices=DOMAINS, default="language")
    fetch.add_argument("--repository", metavar="OWNER/NAME", default="", help="default: GITHUB_REPOSITORY")
    fetch.set_defaults(command=_fetch)


def _setup(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.github.access import open_repository
    from aams.github.settings import read_parts

    repository = open_repository(args.repository)
    found = read_parts(args.root, repository, args.app)
    different = [part for part in found if part.differences]
    if args.apply:
        for part in different:
            part.write()
    differences = [one for part in different for one in part.differences]
    lines = [f"{one.where}: is {one.actual}, should be {one.declared}" for one in differences]
    count = f"{len(differences)} of the settings differ" if differences else "All settings are as declared"
    ending = ": changed" if args.apply and differences else ": --apply changes them" if differences else ""
    emit(
        args,
        {"differences": to_data(tuple(differences)), "applied": bool(args.apply and differences)},
        [*lines, f"{count}{ending}."],
    )
    return 0


def _due(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.gitops.proposing import missing
    from aams.gitops.wishes import wished

    check_children(args.children)
    site = _site(args)
    found = missing(site, args.children)
    chosen = next((domain for domain, findings in found.items() if not findings), "")
    lines = [f"{domain}: {one.what}: {one.got}" for domain, findings in found.items() for one in findings]
    wishes = [pull.number for pull in wished(site.repository)]
    _output("domain", chosen)
    _output("wishes", str(len(wishes)))
    emit(
        args,
        {"domain": chosen, "wishes": wishes, "missing": to_data(found)},
        [*lines, f"due: {chosen or 'nothing'}, and {len(wishes)} wishes"],
    )
    return 0


def _propose(args: argparse.Namespace) -> int:
    from aams.cycle import ELSEWHERE, Request
    from aams.gitops.proposing import propose, propose_scheduled, propose_wished

    check_children(args.children)
    site = _site(args)
    pulls: list[PullRequest] = []
    missing: tuple[Finding, ...] = ()
    if args.domain is None:
        pulls += propose_wished(site)
    elif args.seed is None:
        pull, missing = propose_scheduled(site, args.domain, args.children, args.lane)
        pulls += [pull] if pull else []
    else:
        request = Request(args.domain, args.seed, args.children, trigger=ELSEWHERE)
        pulls.append(propose(site, request, args.lane))
    lines = [f"#{pull.number}: {pull.branch}" for pull in pulls]
    lines += [f"{args.domain}: {one.what}: {one.got}" for one in missing]
    lines = lines or ["nothing was proposed"]
    emit(args, {"pull_requests": [pull.number for pull in pulls]}, lines)
    return 0


def _rechallenge(args: argparse.Namespace) -> int:
    from aams.gitops.proposing import challenge

    site = _site(args)
    domains = [args.domain] if args.domain else DOMAINS
    pulls: list[PullRequest] = []
    failed: list[str] = []
    for domain in domains:
        try:
            pull = challenge(site, domain, args.lane, asked=bool(args.domain))
            pulls += [pull] if pull else []
        except AamsError as error:  # it must not keep the other domains waiting
            failed.append(f"error: {domain}: {error.problems[0]}")
    lines = [*failed, f"{len(pulls)} pull requests were opened"]
    emit(args, {"pull_requests": [pull.number for pull in pulls], "failed": failed}, lines)
    return 1 if failed else 0


def _rollback(args: argparse.Namespace) -> int:
    from aams.gitops.proposing import propose_rollback

    pull = propose_rollback(_site(args), args.domain, args.to, args.reason)
    emit(args, {"pull_requests": [pull.number]}, [f"#{pull.number}: {pull.branch}"])
    return 0


def _bundle(args: argparse.Namespace) -> int:
    from aams.github.access import open_repository
    from aams.gitops.training import fetch_bundle
    from aams.lanes.runner_session import SessionRelease
    from safety.contract import CONTRACT_PATH, load_contract

    if args.session:
        accepted = load_contract(args.root / CONTRACT_PATH).confinement
        session = SessionRelease(open_repository(args.repository), args.session)
        path = session.fetch_bundle(args.digest, args.folder, accepted)
    else:
        path = fetch_bundle(_site(args), args.cycle, args.folder)
    emit(args, {"bundle": str(path)}, [str(path)])
    return 0


def _deliver(args: argparse.Namespace) -> int:
    from aams.github.access import open_repository
    from aams.gitops.training import deliver
    from aams.lanes.runner_session import SessionRelease

    if args.session:
        SessionRelease(open_repository(args.repository), args.session).keep_results(args.archive)
    else:
        deliver(_site(args), args.cycle, args.archive)
    whose = {"session": args.session} if args.session else {"cycle": args.cycle}
    emit(args, whose, [f"{args.session or args.cycle}: the results are there"])
    return 0


def _waiting(args: argparse.Namespace) -> int:
    from aams.gitops.receiving import waiting

    found = waiting(_site(args))
    for name, count in found.items():
        _output(name, str(count))
    emit(args, dict(found), [f"{name}: {count}" for name, count in found.items()])
    return 0


def _sessions(args: argparse.Namespace) -> int:
    from aams.gitops.sessions import look_after

    return _tell(args, look_after(_site(args)))


def _receive(args: argparse.Namespace) -> int:
    from aams.gitops.receiving import receive

    return _tell(args, receive(_site(args)))


def _judge(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.gitops.judging import judge_pull_requests

    judged = judge_pull_requests(_site(args), args.app)
    lines = [f"#{one.number} at {one.sha[:12]}: {one.check.conclusion}, {one.check.title}" for one in judged]
    emit(args, {"judged": to_data(judged)}, [*lines, f"{len(judged)} judged, {sum(one.new for one in judged)} anew"])
    return 0


def _arbitrate(args: argparse.Namespace) -> int:
    from aams.cycle.sealed import SECRET_VARIABLE
    from aams.gitops.arbitration import arbitrate

    if not os.environ.get(SECRET_VARIABLE):
        advice = "docs/setup-github.md says what it is for"
        raise failure("the arbiter has no secret", f"{SECRET_VARIABLE} is not set", advice)
    return _tell(args, arbitrate(_site(args), args.app))


def _promote(args: argparse.Namespace) -> int:
    from aams.gitops.promotion import promote

    return _tell(args, promote(_site(args), args.app))


def _fetch(args: argparse.Namespace) -> int:
    from aams.github.access import open_repository
    from aams.gitops.weights import fetch_weights

    digest = fetch_weights(args.root, open_repository(args.repository), args.domain, args.generation)
    name = f"{args.domain}/{args.generation}"
    emit(args, {"generation": name, "weights": digest}, [f"{name}: the weights are here, as the ledger names them"])
    return 0


def _drift(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.gitops.drift import find_drift, tell

    site = _site(args)
    found = find_drift(site, args.app)
    number = tell(site, found)
    lines = [f"{one.subject}: {one.what}: {one.got}" for one in found]
    emit(args, {"issue": number, "found": to_data(found)}, lines or ["Nothing has drifted."])
    return 0


def _tell(args: argparse.Namespace, done: Sequence[Done]) -> int:
    """Say what a sweep did; what failed for one proposal fails the sweep after the others had their turn."""
    from aams.canonical import to_data

    lines = [f"{'error: ' if one.failed else ''}{one.cycle}: {one.what}" for one in done]
    _summarize(lines or ["nothing is due"])
    emit(args, {"done": to_data(tuple(done))}, lines or ["nothing is due"])
    return 1 if any(one.failed for one in done) else 0


def _summarize(lines: Sequence[str]) -> None:
    """Show what was done on the page of the workflow's run, as text that does nothing there."""
    from evaluator.markdown import block

    path = os.environ.get(SUMMARY)
    if path:
        with Path(path).open("a", encoding="ascii") as summary:
            summary.write(block("\n".join(lines)) + "\n")


def _output(name: str, value: str) -> None:
    """Tell the workflow's next step; names and values are AAMS's own words."""
    path = os.environ.get(OUTPUTS)
    if path:
        with Path(path).open("a", encoding="ascii") as outputs:
            outputs.write(f"{name}={value}\n")


def _site(args: argparse.Namespace) -> Site:
    from aams.github.access import TOKEN, open_repository
    from aams.gitops.workshop import Site

    repository = open_repository(args.repository)
    url = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository.name}.git"
    return Site(args.root, repository, url, os.environ[TOKEN])
