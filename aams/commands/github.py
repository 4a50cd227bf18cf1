"""Commands about the repository on GitHub: setup, judge."""

from __future__ import annotations

import argparse
import os
import re
from typing import TYPE_CHECKING, Any

from aams.commands.actions import add_actions
from aams.commands.output import emit
from aams.errors import failure

if TYPE_CHECKING:
    from aams.github.repository import Repository

TOKEN = "AAMS_GITHUB_TOKEN"  # noqa: S105


def register(subparsers: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the parser."""
    actions, inner = add_actions(subparsers, common, "github", "the repository on GitHub: setup, judge")

    setup = actions.add_parser(
        "setup", parents=[inner], help="hold its settings against .github/, and with --apply make them so"
    )
    setup.add_argument("--apply", action="store_true", help="change what differs; without it nothing is changed")
    setup.set_defaults(command=_setup)

    judge = actions.add_parser(
        "judge", parents=[inner], help="post the required check of every open pull request, from a checkout of main"
    )
    judge.set_defaults(command=_judge)

    for action in (setup, judge):
        action.add_argument("--app", type=int, required=True, metavar="NUMBER", help="id of the App whose check counts")
        action.add_argument("--repository", metavar="OWNER/NAME", help="default: GITHUB_REPOSITORY")


def _setup(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.github.settings import read_parts

    repository = _repository(args.repository)
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


def _judge(args: argparse.Namespace) -> int:
    from aams.canonical import to_data
    from aams.gitops.judging import judge_pull_requests

    repository = _repository(args.repository)
    url = f"{os.environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository.name}.git"
    judged = judge_pull_requests(args.root, repository, args.app, url, os.environ[TOKEN])
    lines = [f"#{one.number} at {one.sha[:12]}: {one.check.conclusion}, {one.check.title}" for one in judged]
    emit(args, {"judged": to_data(judged)}, [*lines, f"{len(judged)} judged, {sum(one.new for one in judged)} anew"])
    return 0


def _repository(name: str | None) -> Repository:
    """The repository that is meant, under the token of the environment.

    Raises:
        AamsError: no repository is named, or there is no token.
    """
    from aams.github.repository import API, Repository

    chosen = name or os.environ.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", chosen):
        raise failure("names no repository", chosen[:80] or "nothing", "give --repository OWNER/NAME")
    token = os.environ.get(TOKEN, "")
    if not token:
        raise failure("there is no token", f"{TOKEN} is not set", "docs/setup-github.md says which one to make")
    return Repository(chosen, token, os.environ.get("GITHUB_API_URL", API))
