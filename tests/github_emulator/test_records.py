"""Issues, comments, labels, releases, environments: what is kept beside the code."""

from __future__ import annotations

import pytest


def test_a_sticky_comment_is_found_and_edited(stage, refused):
    pull = stage.pull("bot", "work")
    comment = pull.create_issue_comment("<!-- report -->\nfirst")
    found = next(one for one in stage.repo("bot").get_pull(1).get_issue_comments() if "<!-- report -->" in one.body)
    found.edit("<!-- report -->\nsecond")
    assert [(one.id, one.body) for one in pull.get_issue_comments()] == [(comment.id, "<!-- report -->\nsecond")]
    with refused(403):
        stage.repo("eve").get_issue(1).get_comment(comment.id).edit("mine now")
    found.delete()
    assert pull.get_issue_comments().totalCount == 0


def test_an_issue_is_opened_by_anybody_labelled_by_some_and_closed(stage, refused):
    issue = stage.repo("eve").create_issue("drift", "something differs", labels=["drift"])
    assert issue.labels == []
    with refused(403):
        issue.add_to_labels("drift")
    stage.repo("ann").get_issue(issue.number).add_to_labels("drift", "old")
    assert [one.number for one in stage.repo("bot").get_issues(labels=["drift"], creator="eve")] == [issue.number]
    mine = stage.repo("bot").get_issue(issue.number)
    mine.remove_from_labels("old")
    mine.edit(state="closed", title="drift, gone")
    assert stage.repo("bot").get_issues().totalCount == 0
    actions = [event.action for event in stage.site.events if event.name == "issues"]
    assert actions == ["opened", "labeled", "labeled", "unlabeled", "closed"]


def test_a_label_on_a_pull_request_is_an_event_of_the_pull_request(stage):
    pull = stage.pull("dev", "work")
    pull.add_to_labels("train")
    pull.set_labels("done")
    assert [label.name for label in stage.repo("ann").get_pull(pull.number).labels] == ["done"]
    actions = [event.action for event in stage.site.events if event.name == "pull_request"]
    assert actions == ["opened", "labeled", "labeled", "unlabeled"]


def test_a_prerelease_holds_evidence_until_it_is_deleted(stage, tmp_path, refused):
    repo = stage.repo("bot")
    release = repo.create_git_release("evidence-1", "evidence", "kept until decided", prerelease=True)
    (tmp_path / "child.safetensors").write_bytes(b"\x00\x01weights")
    asset = release.upload_asset(str(tmp_path / "child.safetensors"), content_type="application/octet-stream")
    with refused(422, "already_exists"):
        release.upload_asset(str(tmp_path / "child.safetensors"))
    read = stage.repo("ann").get_release("evidence-1")
    assert read.prerelease and [(one.name, one.size) for one in read.get_assets()] == [("child.safetensors", 9)]
    asset.download_asset(str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == b"\x00\x01weights"
    with refused(404):
        repo.get_latest_release()
    with refused(422, "already_exists"):
        repo.create_git_release("evidence-1", "again", "")
    with refused(403):
        stage.repo("eve").get_release("evidence-1").delete_release()
    asset.delete_asset()
    release.delete_release()
    assert repo.get_releases().totalCount == 0
    assert repo.get_git_ref("tags/evidence-1").object.type == "commit"


def test_an_environment_says_which_branches_may_use_it(stage, refused):
    github = pytest.importorskip("github.EnvironmentDeploymentBranchPolicy")
    repo = stage.repo("ann")
    policy = github.EnvironmentDeploymentBranchPolicyParams(protected_branches=False, custom_branch_policies=True)
    repo.create_environment("arbiter", deployment_branch_policy=policy)
    ask = repo.requester.requestJsonAndCheck
    here = "/repos/ann/lab/environments/arbiter/deployment-branch-policies"
    ask("POST", here, input={"name": "main"})
    assert [one["name"] for one in ask("GET", here)[1]["branch_policies"]] == ["main"]
    assert [one.name for one in repo.get_environments()] == ["arbiter"]
    assert repo.get_environment("arbiter").deployment_branch_policy.custom_branch_policies
    with refused(403):
        stage.repo("dev").delete_environment("arbiter")
