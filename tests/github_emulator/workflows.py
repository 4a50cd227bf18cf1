"""Workflow files: which of them an event starts, and what each of their jobs may have.

https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows
https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .patterns import last_match, matches
from .records import Environment, Event, Json
from .rules import rules_at
from .site import Repository

FOLDER = ".github/workflows"
ALWAYS_START = ("workflow_dispatch", "repository_dispatch")
OF_A_PULL = ("pull_request", "pull_request_review")
USUAL_TYPES = {"pull_request": ("opened", "synchronize", "reopened")}
SCOPES = ("actions", "checks", "contents", "deployments", "id-token", "issues", "pages", "pull-requests", "statuses")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow file as it is at one commit."""

    path: str
    name: str
    triggers: Mapping[str, Any]
    content: Json


def read_workflow(repository: Repository, commit: str, path: str) -> Workflow | None:
    """None where there is no such file, or one that is no YAML mapping."""
    if repository.git.kind(f"{commit}:{path}") != "blob":
        return None
    try:
        content = YAML(typ="safe", pure=True).load(repository.git.blob(f"{commit}:{path}"))
    except YAMLError:
        return None
    if not isinstance(content, dict) or "jobs" not in content:
        return None
    on = content.get("on", ())
    if isinstance(on, str):
        on = [on]
    triggers = on if isinstance(on, dict) else dict.fromkeys(on)
    return Workflow(path, str(content.get("name", path)), triggers, content)


def run_title(workflow: Workflow, payload: Json) -> str:
    """A run's title: its run-name, where inputs alone are filled in, or the workflow's name.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#run-name
    """
    inputs = payload.get("inputs") or {}
    wanted = str(workflow.content.get("run-name", workflow.name))
    return re.sub(r"\$\{\{ inputs\.([a-z_]+) \}\}", lambda found: str(inputs.get(found[1], "")), wanted)


def list_workflows(repository: Repository, commit: str) -> list[Workflow]:
    if repository.git.kind(f"{commit}:{FOLDER}") != "tree":
        return []
    names = [path for _, _, _, path in repository.git.list_tree(f"{commit}:{FOLDER}")]
    found = [
        read_workflow(repository, commit, f"{FOLDER}/{name}") for name in names if name.endswith((".yml", ".yaml"))
    ]
    return [workflow for workflow in found if workflow]


def commit_of(repository: Repository, event: Event, payload: Json) -> str | None:
    """The commit whose workflow files count and that a run works on.

    A pull request's is its merge with the base, and none when they conflict; a push's is what was pushed; what has no
    commit of its own takes the default branch.
    """
    if event.name in OF_A_PULL:
        return _merge_commit(repository, payload)
    if event.name == "push":
        return None if payload["deleted"] else repository.git.commit_at(payload["after"])
    if event.name in ("workflow_dispatch", "release"):
        return repository.git.commit_at(event.ref)
    return repository.tip(repository.default_branch)


def _merge_commit(repository: Repository, payload: Json) -> str | None:
    pull, ref = payload["pull_request"], f"refs/pull/{payload['number']}/merge"
    base, head = repository.tip(pull["base"]["ref"]) or "", pull["head"]["sha"]
    if pull["merged"]:
        return base
    tree = repository.git.merge_tree(base, head)
    if tree is None:
        return None
    commit = repository.git.write_commit(tree, [base, head], f"Merge {head} into {base}")
    repository.git.run("update-ref", ref, commit)
    return commit


def started(repository: Repository, commit: str, event: Event, payload: Json) -> Iterator[Workflow]:
    """The workflows at a commit that listen to an event; a dispatch and a schedule name the one they mean."""
    for workflow in list_workflows(repository, commit):
        named = (
            payload.get("workflow", workflow.path) if event.name in ("workflow_dispatch", "schedule") else workflow.path
        )
        if (
            named == workflow.path
            and event.name in workflow.triggers
            and _listens(repository, workflow, event, payload)
        ):
            yield workflow


def _listens(repository: Repository, workflow: Workflow, event: Event, payload: Json) -> bool:
    trigger = workflow.triggers[event.name]
    if not isinstance(trigger, dict):
        trigger = {}
    types = trigger.get("types", USUAL_TYPES.get(event.name))
    types = [types] if isinstance(types, str) else types
    if types and event.action not in types:
        return False
    if event.name == "workflow_run" and payload["workflow_run"]["name"] not in trigger.get("workflows", ()):
        return False
    return _branch_fits(trigger, event, payload) and _paths_fit(repository, trigger, event, payload)


def _branch_fits(trigger: Json, event: Event, payload: Json) -> bool:
    kind, name = "branches", None
    match event.name:
        case "pull_request":
            name = payload["pull_request"]["base"]["ref"]
        case "workflow_run":
            name = payload["workflow_run"]["head_branch"]
        case "push":
            kind = "tags" if event.ref.startswith("refs/tags/") else "branches"
            name = event.ref.split("/", 2)[2]
            other = "branches" if kind == "tags" else "tags"
            if other in trigger and kind not in trigger and f"{kind}-ignore" not in trigger:
                return False
    if name is None:
        return True
    if f"{kind}-ignore" in trigger:
        return not last_match(trigger[f"{kind}-ignore"], name)
    return kind not in trigger or last_match(trigger[kind], name)


def _paths_fit(repository: Repository, trigger: Json, event: Event, payload: Json) -> bool:
    wanted, ignored = trigger.get("paths"), trigger.get("paths-ignore")
    if wanted is None and ignored is None:
        return True
    base, head = payload.get("before"), payload.get("after")
    if event.name == "pull_request":
        head = payload["pull_request"]["head"]["sha"]
        base = repository.git.merge_base(payload["pull_request"]["base"]["sha"], head)
    if not base or not head or not repository.git.commit_at(base):
        return True
    paths = [change.path for change in repository.git.changes(base, head, patches=False)]
    if wanted is not None:
        return any(last_match(wanted, path) for path in paths)
    return any(not last_match(ignored or (), path) for path in paths)


def permissions_of(workflow: Workflow, job: Json, *, trusted: bool) -> dict[str, str]:
    """What a job's GITHUB_TOKEN may do: the job's permissions, else the workflow's, else nothing.

    The token of a fork's pull request can only read:
    https://docs.github.com/en/actions/tutorials/authenticate-with-github_token#modifying-the-permissions-for-the-github_token
    """
    given = job.get("permissions", workflow.content.get("permissions")) or {}
    if given in ("read-all", "write-all"):
        given = dict.fromkeys(SCOPES, given.removesuffix("-all"))
    return {name: access if trusted else "read" for name, access in given.items() if access != "none"}


def environment_allows(repository: Repository, environment: Environment, ref: str) -> bool:
    """Whether a ref may use an environment.

    https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments#deployment-branches-and-tags
    """
    policy = environment.settings["deployment_branch_policy"]
    if not policy:
        return True
    if policy["protected_branches"]:
        return ref.startswith("refs/heads/") and bool(rules_at(repository, ref))
    branch = ref.removeprefix("refs/heads/")
    return ref.startswith("refs/heads/") and any(matches(name, branch) for name in environment.branches.values())


def with_own_secrets(job: Json, prefix: str) -> Json:
    """A job whose expressions name secrets of its own: `secrets.KEY` becomes `secrets.<prefix>KEY`.

    That is how one run of act keeps apart what GitHub gives to each job: its token and its environment's secrets.
    """

    def renamed(text: re.Match[str]) -> str:
        own = re.sub(r"\bgithub\.token\b", "secrets.GITHUB_TOKEN", text[0])
        return re.sub(r"\bsecrets\.(?=[A-Za-z_])", f"secrets.{prefix}", own)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(item) for key, item in value.items()}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return EXPRESSION.sub(renamed, value) if isinstance(value, str) else value

    scoped: Json = walk(job)
    return scoped
