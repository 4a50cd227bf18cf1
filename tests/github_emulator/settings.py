"""A repository's settings: rulesets and environments, for administrators.

https://docs.github.com/en/rest/repos/rules
https://docs.github.com/en/rest/deployments/environments and https://docs.github.com/en/rest/deployments/branch-policies
"""

from __future__ import annotations

from dataclasses import replace

from . import as_json
from .records import Environment, Json, Ruleset
from .routing import Answer, RefusalError, Request, Route, invalid
from .rules import rules_at
from .site import Repository, Site

WRITES = ("administration",)
RULES = ("creation", "update", "deletion", "non_fast_forward", "pull_request", "required_status_checks")
FIELDS = ("target", "enforcement", "bypass_actors", "conditions", "rules")


def list_rulesets(request: Request) -> Answer:
    """Without their rules: https://docs.github.com/en/rest/repos/rules#get-all-repository-rulesets"""
    site, repository = request.site, request.repository
    return Answer([ruleset_as_json(site, repository, one, whole=False) for one in repository.rulesets.values()])


def create_ruleset(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/rules#create-a-repository-ruleset"""
    site, name = request.site, request.field("name")
    request.field("enforcement")
    if any(ruleset.name == name for ruleset in request.repository.rulesets.values()):
        raise RefusalError(422, "Validation Failed", ["Name must be unique"])
    blank: Json = {"target": "branch", "bypass_actors": [], "conditions": {}, "rules": []}
    now = site.now()
    return _store_ruleset(request, Ruleset(site.next_id(), name, blank, now, now), 201)


def get_ruleset(request: Request) -> Answer:
    """Bypass actors only for those who may write it: https://docs.github.com/en/rest/repos/rules#get-a-repository-ruleset"""
    shown = ruleset_as_json(request.site, request.repository, _ruleset(request))
    identity, repository = request.identity, request.repository
    admin = (
        repository.has_role(identity.login, "admin") if identity.kind == "user" else repository.grants(identity, WRITES)
    )
    if not admin:
        del shown["bypass_actors"]
    return Answer(shown)


def update_ruleset(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/rules#update-a-repository-ruleset"""
    ruleset = _ruleset(request)
    name = request.body.get("name", ruleset.name)
    return _store_ruleset(request, replace(ruleset, name=name, updated_at=request.site.now()))


def delete_ruleset(request: Request) -> Answer:
    """https://docs.github.com/en/rest/repos/rules#delete-a-repository-ruleset"""
    del request.repository.rulesets[_ruleset(request).id]
    return Answer(status=204)


def branch_rules(request: Request) -> Answer:
    """What applies to a branch: https://docs.github.com/en/rest/repos/rules#get-rules-for-a-branch"""
    return Answer(rules_at(request.repository, f"refs/heads/{request.parameters['branch']}"))


def list_environments(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/environments#list-environments"""
    repository = request.repository
    shown = [environment_as_json(request.site, repository, one) for one in repository.environments.values()]
    return Answer(shown, listed="environments")


def get_environment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/environments#get-an-environment"""
    return Answer(environment_as_json(request.site, request.repository, _environment(request)))


def put_environment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/environments#create-or-update-an-environment"""
    site, repository, name = request.site, request.repository, request.parameters["name"]
    policy = request.body.get("deployment_branch_policy")
    if policy and policy["protected_branches"] == policy["custom_branch_policies"]:
        raise RefusalError(422, "protected_branches and custom_branch_policies cannot have the same value")
    settings = {"deployment_branch_policy": policy}
    there = repository.environments.get(name) or Environment(site.next_id(), name, settings, {}, {}, site.now())
    repository.environments[name] = replace(there, settings=settings)
    return get_environment(request)


def delete_environment(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/environments#delete-an-environment"""
    del request.repository.environments[_environment(request).name]
    return Answer(status=204)


def list_policies(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/branch-policies#list-deployment-branch-policies"""
    return Answer([_policy(*item) for item in _environment(request).branches.items()], listed="branch_policies")


def create_policy(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/branch-policies#create-a-deployment-branch-policy"""
    environment, name = _environment(request), request.field("name")
    if not (environment.settings["deployment_branch_policy"] or {}).get("custom_branch_policies"):
        raise RefusalError(404, "Not Found")
    if name in environment.branches.values():
        raise RefusalError(303, "Already exists")
    identifier = request.site.next_id()
    branches = {**environment.branches, identifier: name}
    request.repository.environments[environment.name] = replace(environment, branches=branches)
    return Answer(_policy(identifier, name))


def delete_policy(request: Request) -> Answer:
    """https://docs.github.com/en/rest/deployments/branch-policies#delete-a-deployment-branch-policy"""
    environment, gone = _environment(request), int(request.parameters["policy"])
    if gone not in environment.branches:
        raise RefusalError(404, "Not Found")
    kept = {identifier: name for identifier, name in environment.branches.items() if identifier != gone}
    request.repository.environments[environment.name] = replace(environment, branches=kept)
    return Answer(status=204)


def _policy(identifier: int, name: str) -> Json:
    return {"id": identifier, "node_id": f"DBP_{identifier}", "name": name, "type": "branch"}


def _ruleset(request: Request) -> Ruleset:
    ruleset = request.repository.rulesets.get(int(request.parameters["ruleset"]))
    if ruleset is None:
        raise RefusalError(404, "Not Found")
    return ruleset


def _store_ruleset(request: Request, ruleset: Ruleset, status: int = 200) -> Answer:
    settings = {**ruleset.settings, **{key: request.body[key] for key in FIELDS if key in request.body}}
    if settings["enforcement"] not in ("disabled", "active", "evaluate"):
        raise invalid("Ruleset", "enforcement")
    if settings["target"] not in ("branch", "tag"):
        raise invalid("Ruleset", "target")
    unknown = [rule["type"] for rule in settings["rules"] if rule["type"] not in RULES]
    if unknown:
        raise RefusalError(422, "Validation Failed", [f"This emulator enforces no rule {name!r}" for name in unknown])
    ruleset = request.repository.rulesets[ruleset.id] = replace(ruleset, settings=settings)
    return Answer(ruleset_as_json(request.site, request.repository, ruleset), status)


def _environment(request: Request) -> Environment:
    environment = request.repository.environments.get(request.parameters["name"])
    if environment is None:
        raise RefusalError(404, "Not Found")
    return environment


def ruleset_as_json(site: Site, repo: Repository, record: Ruleset, *, whole: bool = True) -> Json:
    """A ruleset; lists leave its rules and conditions out."""
    shown = record.settings if whole else {key: record.settings[key] for key in ("target", "enforcement")}
    return {
        "id": record.id,
        "name": record.name,
        "source_type": "Repository",
        "source": repo.full_name,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "_links": {"self": {"href": as_json.api(site, repo, f"/rulesets/{record.id}")}},
        **shown,
    }


def environment_as_json(site: Site, repo: Repository, record: Environment) -> Json:
    rules = [{"id": record.id, "type": "branch_policy"}] if record.settings["deployment_branch_policy"] else []
    return {
        "id": record.id,
        "name": record.name,
        "created_at": record.created_at,
        "updated_at": record.created_at,
        "protection_rules": rules,
        "deployment_branch_policy": record.settings["deployment_branch_policy"],
        "url": as_json.api(site, repo, f"/environments/{record.name}"),
    }


HERE = "/repos/{owner}/{repo}"
RULESET = HERE + "/rulesets/{ruleset:int}"
POLICIES = HERE + "/environments/{name}/deployment-branch-policies"
ROUTES = (
    Route("GET", HERE + "/rulesets", list_rulesets),
    Route("POST", HERE + "/rulesets", create_ruleset, "admin", WRITES),
    Route("GET", RULESET, get_ruleset),
    Route("PUT", RULESET, update_ruleset, "admin", WRITES),
    Route("DELETE", RULESET, delete_ruleset, "admin", WRITES),
    Route("GET", HERE + "/rules/branches/{branch:path}", branch_rules),
    Route("GET", HERE + "/environments", list_environments),
    Route("GET", HERE + "/environments/{name}", get_environment),
    Route("PUT", HERE + "/environments/{name}", put_environment, "admin", WRITES),
    Route("DELETE", HERE + "/environments/{name}", delete_environment, "admin", WRITES),
    Route("GET", POLICIES, list_policies),
    Route("POST", POLICIES, create_policy, "admin", WRITES),
    Route("DELETE", POLICIES + "/{policy:int}", delete_policy, "admin", WRITES),
)
