"""Rulesets: what they keep out, and what they let through."""

from __future__ import annotations

from datetime import datetime

import pytest

OWNERS = "* @ann\nlogs/\nspecs/history/\n/docs/metrics.json\n"
CHECK = {"context": "aams/arbiter", "integration_id": 4242}


@pytest.fixture
def protect(stage):
    """Sets main's ruleset: a pull request with these parameters, these checks, and no way around them."""

    def install(checks=(), strict=False, **parameters):
        blank = {
            "required_approving_review_count": 0,
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        }
        rules = [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "pull_request", "parameters": {**blank, **parameters}},
        ]
        if checks:
            settings = {"required_status_checks": list(checks), "strict_required_status_checks_policy": strict}
            rules.append({"type": "required_status_checks", "parameters": settings})
        body = {
            "name": "main",
            "target": "branch",
            "enforcement": "active",
            "bypass_actors": [],
            "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
            "rules": rules,
        }
        return stage.repo("ann").requester.requestJsonAndCheck("POST", "/repos/ann/lab/rulesets", input=body)[1]

    return install


def test_rulesets_are_created_listed_changed_and_deleted_by_administrators(stage, protect, refused):
    made = protect(required_approving_review_count=1)
    ask = stage.repo("ann").requester.requestJsonAndCheck
    here = f"/repos/ann/lab/rulesets/{made['id']}"
    assert [(one["name"], "rules" in one) for one in ask("GET", "/repos/ann/lab/rulesets")[1]] == [("main", False)]
    assert ask("GET", here)[1]["rules"] == made["rules"]
    bypass = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
    assert ask("PUT", here, input={"enforcement": "disabled", "bypass_actors": bypass})[1]["bypass_actors"] == bypass
    other = stage.repo("dev").requester.requestJsonAndCheck
    assert "bypass_actors" not in other("GET", here)[1]
    for who in ("dev", "bot"):
        with refused(403):
            stage.repo(who).requester.requestJsonAndCheck("DELETE", here)
    ask("DELETE", here)
    with refused(404):
        ask("GET", here)


def test_main_moves_by_pull_request_only_even_for_its_owner(stage, protect, refused):
    protect()
    for who in ("ann", "bot"):
        repo = stage.repo(who)
        with refused(409, "through a pull request"):
            repo.create_file("direct.txt", "direct", "x")
        later = stage.commit(who, f"side-{who}", "side.txt")
        with refused(422, "through a pull request"):
            repo.get_git_ref("heads/main").edit(later)
        with refused(422, "Cannot delete"):
            repo.get_git_ref("heads/main").delete()
    folder = stage.clone("ann")
    stage.git("commit", "--quiet", "--allow-empty", "--message", "direct", folder=folder)
    assert "through a pull request" in stage.git("push", "origin", "main", folder=folder, status=1)


def test_approvals_count_from_people_with_write_access_only(stage, protect, refused):
    protect(required_approving_review_count=1)
    pull = stage.pull("bot", "work")
    with refused(405, "At least 1 approving review"):
        pull.merge()
    stage.review("eve", pull)
    with refused(405, "At least 1 approving review"):
        pull.merge()
    stage.review("dev", pull)
    pull.update()
    assert pull.mergeable_state == "clean"
    stage.review("ann", pull, event="REQUEST_CHANGES")
    with refused(405, "Changes were requested"):
        pull.merge()
    stage.review("ann", pull)
    assert pull.merge().merged


def test_a_new_commit_dismisses_approvals_and_a_move_of_the_base_does_not(stage, protect, refused):
    protect(required_approving_review_count=1, dismiss_stale_reviews_on_push=True)
    pull, other = stage.pull("bot", "work"), stage.pull("bot", "other", path="logs/second.json")
    stage.review("ann", pull)
    stage.review("ann", other)
    assert other.merge().merged
    assert [review.state for review in pull.get_reviews()] == ["APPROVED"]
    stage.commit("bot", "work", "specs/late.yaml")
    assert [review.state for review in pull.get_reviews()] == ["DISMISSED"]
    with refused(405, "At least 1 approving review"):
        pull.merge()


def test_who_pushed_last_can_not_give_the_approval_of_the_push(stage, protect, refused):
    protect(required_approving_review_count=1, require_last_push_approval=True)
    pull = stage.pull("bot", "work")
    stage.commit("dev", "work", "specs/more.yaml")
    stage.review("dev", pull)
    with refused(405, "someone other than the last pusher"):
        pull.merge()
    stage.review("ann", pull)
    assert pull.merge().merged


def test_a_code_owner_approves_what_has_owners_and_nobody_what_has_none(stage, protect, refused):
    stage.commit("ann", "main", ".github/CODEOWNERS", OWNERS)
    protect(require_code_owner_review=True, dismiss_stale_reviews_on_push=True)
    record = stage.pull("bot", "record", path="logs/cycles/a/01.json")
    assert record.merge().merged
    spec = stage.pull("bot", "spec", path="specs/language/champion.yaml")
    for who in ("dev", "other"):
        stage.review(who, spec)
        with refused(405, "code owner review"):
            spec.merge()
    stage.review("ann", spec)
    assert spec.merge().merged
    own = stage.pull("ann", "own", path="docs/page.md")
    stage.review("dev", own)
    with refused(405, "code owner review"):
        own.merge()


def test_a_renamed_file_needs_the_owner_of_its_old_place(stage, protect, refused):
    stage.commit("ann", "main", ".github/CODEOWNERS", OWNERS)
    protect(require_code_owner_review=True)
    folder = stage.clone("dev")
    stage.git("mv", "README.md", "logs/README.md", folder=folder)
    stage.git("commit", "--quiet", "--message", "move", folder=folder)
    stage.git("push", "--quiet", "origin", "main:move", folder=folder)
    pull = stage.repo("dev").create_pull(base="main", head="move", title="move", body="")
    with refused(405, "code owner review"):
        pull.merge()


@pytest.mark.parametrize("who", ["other", "ann"])
def test_a_required_status_counts_from_its_app_only(stage, protect, refused, who):
    protect([CHECK])
    pull = stage.pull("dev", "work")
    stage.repo(who).get_commit(pull.head.sha).create_status("success", context="aams/arbiter")
    with refused(405, '"aams/arbiter" is expected'):
        pull.merge()
    stage.repo("bot").get_commit(pull.head.sha).create_status("success", context="aams/arbiter")
    assert pull.merge().merged


def test_a_status_that_somebody_else_sets_afterwards_is_not_the_apps(stage, protect, refused):
    protect([CHECK])
    pull = stage.pull("dev", "work")
    for who in ("bot", "dev"):
        stage.repo(who).get_commit(pull.head.sha).create_status("success", context="aams/arbiter")
    with refused(405, "is expected"):
        pull.merge()


def test_a_required_check_run_counts_from_its_app_and_when_it_is_good(stage, protect, refused):
    protect([CHECK])
    pull = stage.pull("dev", "work")
    stage.repo("other").create_check_run("aams/arbiter", pull.head.sha, status="completed", conclusion="success")
    with refused(405, "is expected"):
        pull.merge()
    run = stage.repo("bot").create_check_run("aams/arbiter", pull.head.sha, status="in_progress")
    with refused(405, "is expected"):
        pull.merge()
    run.edit(status="completed", conclusion="success", output={"title": "fine", "summary": "all of it"})
    assert [
        (found.app.id, found.conclusion) for found in stage.repo("ann").get_commit(pull.head.sha).get_check_runs()
    ] == [
        (777, "success"),
        (4242, "success"),
    ]
    assert isinstance(run.completed_at, datetime)
    assert pull.merge().merged


def test_a_check_of_an_earlier_head_does_not_count(stage, protect, refused):
    protect([CHECK])
    pull = stage.pull("dev", "work")
    stage.repo("bot").get_commit(pull.head.sha).create_status("success", context="aams/arbiter")
    stage.commit("dev", "work", "specs/late.yaml")
    with refused(405, "is expected"):
        pull.merge()


def test_strict_checks_want_the_base_in_the_head_and_others_do_not(stage, protect, refused):
    protect([{"context": "ci"}], strict=True)
    pull, other = stage.pull("dev", "work"), stage.pull("dev", "other", path="logs/other.json")
    for one in (pull, other):
        stage.repo("ann").get_commit(one.head.sha).create_status("success", context="ci")
    assert other.merge().merged
    with refused(405, "not up to date"):
        pull.merge()


def test_only_apps_post_check_runs(stage, refused):
    head = stage.repo("ann").get_branch("main").commit.sha
    with refused(403, "GitHub App"):
        stage.repo("ann").create_check_run("mine", head, status="completed", conclusion="success")
    run = stage.repo("bot").create_check_run("mine", head)
    with refused(403):
        stage.repo("other").get_check_run(run.id).edit(status="completed", conclusion="failure")


def test_a_tag_ruleset_keeps_tags(stage, refused):
    rules = {
        "name": "tags",
        "target": "tag",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/tags/generation/**"], "exclude": []}},
        "rules": [{"type": "update"}, {"type": "deletion"}],
    }
    repo = stage.repo("ann")
    repo.requester.requestJsonAndCheck("POST", "/repos/ann/lab/rulesets", input=rules)
    ref = repo.create_git_ref("refs/tags/generation/language/G001", repo.get_branch("main").commit.sha)
    later = stage.commit("ann", "work", "x.txt")
    with refused(422, "Cannot update"):
        ref.edit(later)
    with refused(422, "Cannot delete"):
        ref.delete()


def test_an_app_that_bypasses_a_rule_moves_what_others_may_not(stage, refused):
    rules = [{"type": "creation"}, {"type": "update"}]
    ruleset = {
        "name": "bots",
        "target": "branch",
        "enforcement": "active",
        "bypass_actors": [{"actor_id": 4242, "actor_type": "Integration", "bypass_mode": "always"}],
        "conditions": {"ref_name": {"include": ["refs/heads/bot/**"], "exclude": []}},
        "rules": rules,
    }
    stage.client("ann").requester.requestJsonAndCheck("POST", "/repos/ann/lab/rulesets", input=ruleset)
    with refused(422, "creations being restricted"):
        stage.commit("ann", "bot/mine", "a.txt")
    stage.commit("bot", "bot/ours", "a.txt")
    stage.commit("bot", "bot/ours", "b.txt")
    with refused(409, "protected ref"):
        stage.commit("ann", "bot/ours", "c.txt")
