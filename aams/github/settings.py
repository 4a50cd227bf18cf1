"""How the repository should be set up on GitHub, held against how it is: rulesets, environments, labels and the rest.

Takes what `.github/settings.json` and `.github/rulesets/*.json` declare, gives the differences, and can do away with
them. Compares only what is declared, and never removes what it does not know: that is a person's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aams.canonical import canonical_json
from aams.files import read_bounded
from aams.github.calls import GitHubError
from aams.github.repository import Repository
from aams.strict import read_json

SETTINGS = ".github/settings.json"
RULESETS = ".github/rulesets"
THE_APP = "the App"
"""Stands for the App's number in what is declared, as every repository has its own App."""
MAX_BYTES = 64 * 1024
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that is not as it is declared: where, and both values as short JSON."""

    where: str
    actual: str
    declared: str


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that is set by one call.

    Attributes:
        actual: how it is; None when it is not there.
        write: makes it as it is declared.
    """

    name: str
    declared: Mapping[str, Any]
    actual: Mapping[str, Any] | None
    write: Callable[[], object]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What is not as it is declared."""
        if self.actual is None:
            return (Difference(self.name, _ABSENT, _short(self.declared)),)
        return tuple(_differences(self.name, self.declared, self.actual))


def read_parts(root: Path, api: Repository, app: int) -> tuple[Part, ...]:
    """Every declared part beside how it is.

    Args:
        app: number of the App whose check is required.

    Raises:
        AamsError: a declaration can't be read, or GitHub does not answer.
    """
    settings = _read(root / SETTINGS)
    parts = [
        _plain("repository", api, "", "PATCH", settings["repository"]),
        _plain("workflow permissions", api, "/actions/permissions/workflow", "PUT", settings["workflow_permissions"]),
        _pages(api, settings["pages"]),
        *_labels(api, settings["labels"]),
        *_environments(api, settings["environments"]),
        *_rulesets(api, [_for_app(_read(path), app) for path in sorted((root / RULESETS).glob("*.json"))]),
    ]
    return tuple(parts)


def _plain(name: str, api: Repository, path: str, method: str, declared: Mapping[str, Any]) -> Part:
    return Part(name, declared, api.ask("GET", path), lambda: api.ask(method, path, declared))


def _pages(api: Repository, declared: Mapping[str, Any]) -> Part:
    actual = _if_there(lambda: api.ask("GET", "/pages"))
    return Part("pages", declared, actual, lambda: api.ask("POST" if actual is None else "PUT", "/pages", declared))


def _labels(api: Repository, declared: Mapping[str, Any]) -> Iterator[Part]:
    known = {label["name"]: label for label in api.every("/labels")}
    for name, wanted in declared.items():
        method, path = ("PATCH", f"/labels/{name}") if name in known else ("POST", "/labels")
        body = {**wanted, **({} if name in known else {"name": name})}
        yield Part(f"label {name}", wanted, known.get(name), _asking(api, method, path, body))


def _environments(api: Repository, declared: Mapping[str, Any]) -> Iterator[Part]:
    """Environments whose secrets only some branches get."""
    for name, wanted in declared.items():
        path = f"/environments/{name}"
        policies = _if_there(_asking(api, "GET", f"{path}/deployment-branch-policies"))
        branches = {policy["name"]: policy["id"] for policy in policies["branch_policies"]} if policies else {}
        actual = None if policies is None else {"branches": sorted(branches)}
        yield Part(f"environment {name}", wanted, actual, _confining(api, path, wanted["branches"], branches))


def _confining(api: Repository, path: str, wanted: list[str], known: Mapping[str, int]) -> Callable[[], object]:
    """What gives an environment exactly these branches."""

    def write() -> None:
        policy = {"protected_branches": False, "custom_branch_policies": True}
        api.ask("PUT", path, {"deployment_branch_policy": policy})
        for branch in wanted:
            if branch not in known:
                api.ask("POST", f"{path}/deployment-branch-policies", {"name": branch})
        for branch, number in known.items():
            if branch not in wanted:
                api.ask("DELETE", f"{path}/deployment-branch-policies/{number}")

    return write


def _rulesets(api: Repository, declared: list[dict[str, Any]]) -> Iterator[Part]:
    known = {one["name"]: one["id"] for one in api.every("/rulesets")}
    for wanted in declared:
        name = wanted["name"]
        path = f"/rulesets/{known[name]}" if name in known else "/rulesets"
        actual = api.ask("GET", path) if name in known else None
        yield Part(f"ruleset {name}", wanted, actual, _asking(api, "PUT" if name in known else "POST", path, wanted))


def _asking(api: Repository, method: str, path: str, body: Mapping[str, Any] | None = None) -> Callable[[], Any]:
    return lambda: api.ask(method, path, body)


def _if_there(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except GitHubError as error:
        if error.status == 404:
            return None
        raise


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(read_bounded(path, MAX_BYTES), str(path))
    return found


def _for_app(value: Any, app: int) -> Any:
    """A declaration with the App's number where it stands for it."""
    if isinstance(value, dict):
        return {name: _for_app(inner, app) for name, inner in value.items()}
    if isinstance(value, list):
        return [_for_app(inner, app) for inner in value]
    return app if value == THE_APP else value


def _differences(where: str, declared: Any, actual: Any) -> Iterator[Difference]:
    """What is declared and is not so, down to the single setting; the order of a list says nothing."""
    if isinstance(declared, dict) and isinstance(actual, dict):
        for name, wanted in declared.items():
            yield from _differences(f"{where}: {name}", wanted, actual.get(name, _ABSENT))
    elif _ordered(_projected(declared, actual)) != _ordered(declared):
        yield Difference(where, _short(_projected(declared, actual)), _short(declared))


def _projected(declared: Any, actual: Any) -> Any:
    """What is there, without what the declaration does not speak of."""
    if isinstance(declared, dict) and isinstance(actual, dict):
        return {name: _projected(wanted, actual[name]) for name, wanted in declared.items() if name in actual}
    if isinstance(declared, list) and isinstance(actual, list):
        named = {_name_of(item): item for item in declared}
        return [_projected(named.get(_name_of(item), item), item) for item in actual]
    return actual


def _name_of(item: Any) -> str:
    """What an item of a list goes by: a rule by its type, a check by its context, a plain value by itself."""
    return str(item.get("type") or item.get("context")) if isinstance(item, dict) else _short(item)


def _ordered(value: Any) -> Any:
    """The same value with every list sorted."""
    if isinstance(value, dict):
        return {name: _ordered(inner) for name, inner in value.items()}
    return sorted((_ordered(item) for item in value), key=_short) if isinstance(value, list) else value


def _short(value: Any) -> str:
    return canonical_json(value).decode() if not isinstance(value, str) else value
