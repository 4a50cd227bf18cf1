"""Git's objects, files, branches and accounts, by REST and by git."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_a_person_clones_pushes_and_reads_back_over_rest(stage):
    folder = stage.clone("ann")
    (folder / "notes.md").write_text("by git\n")
    stage.git("add", "--all", folder=folder)
    stage.git("commit", "--quiet", "--message", "notes", folder=folder)
    stage.git("push", "--quiet", "origin", "main", folder=folder)
    assert stage.repo("bot").get_contents("notes.md").decoded_content == b"by git\n"
    assert [event.name for event in stage.site.events] == ["push"]


def test_anybody_clones_a_public_repository_and_nobody_without_write_access_pushes(stage):
    folder = stage.clone("nobody")
    url = stage.site.git_url("ann/lab", stage.token["eve"])
    assert "403" in stage.git("push", url, "main:refs/heads/mine", folder=folder, status=128)
    assert "Authentication failed" in stage.git(
        "push", stage.site.git_url("ann/lab", "wrong"), "main", folder=folder, status=128
    )


def test_a_push_takes_the_refs_that_rules_allow_and_tells_why_not_the_others(stage):
    stage.repo("ann").requester.requestJsonAndCheck(
        "POST",
        "/repos/ann/lab/rulesets",
        input={
            "name": "forward",
            "enforcement": "active",
            "conditions": {"ref_name": {"include": ["refs/heads/kept/**"]}},
            "rules": [{"type": "non_fast_forward"}, {"type": "deletion"}],
        },
    )
    folder = stage.clone("dev")
    stage.git("push", "--quiet", "origin", "main:kept/a/b", "main:free", folder=folder)
    stage.git("commit", "--quiet", "--amend", "--message", "another first", folder=folder)
    told = stage.git("push", "--force", "origin", "main:kept/a/b", "main:free", folder=folder, status=1)
    assert "GH013" in told and "Cannot force-push" in told
    assert "Cannot delete" in stage.git("push", "origin", ":kept/a/b", folder=folder, status=1)
    here = stage.git("rev-parse", "HEAD", folder=folder).strip()
    repo = stage.repo("ann")
    assert repo.get_branch("free").commit.sha == here
    assert repo.get_branch("kept/a/b").commit.sha != here


def test_files_are_made_replaced_and_removed_by_the_blob_that_was_read(stage, refused):
    repo = stage.repo("dev")
    repo.create_file("specs/a.yaml", "a", "a: 1\n")
    read = repo.get_contents("specs/a.yaml")
    repo.update_file("specs/a.yaml", "b", "a: 2\n", read.sha)
    with refused(409, "does not match"):
        repo.update_file("specs/a.yaml", "late", "a: 3\n", read.sha)
    with refused(422, "sha"):
        repo.create_file("specs/a.yaml", "again", "a: 4\n")
    assert [entry.path for entry in repo.get_contents("specs")] == ["specs/a.yaml"]
    repo.delete_file("specs/a.yaml", "gone", repo.get_contents("specs/a.yaml").sha)
    with refused(404):
        repo.get_contents("specs/a.yaml")


def test_a_commit_of_several_files_is_made_through_the_git_data_api(stage):
    github = pytest.importorskip("github")
    repo = stage.repo("bot")
    repo.create_git_ref("refs/heads/many", repo.get_branch("main").commit.sha)
    base = repo.get_git_commit(repo.get_git_ref("heads/many").object.sha)
    picture = repo.create_git_blob(base64.b64encode(b"\x89PNG").decode(), "base64")
    tree = repo.create_git_tree(
        [
            github.InputGitTreeElement("plots/a.png", "100644", "blob", sha=picture.sha),
            github.InputGitTreeElement("specs/b.yaml", "100644", "blob", content="b: 1\n"),
            github.InputGitTreeElement("logs/first.json", "100644", "blob", sha=None),
        ],
        base.tree,
    )
    commit = repo.create_git_commit("many", tree, [base])
    repo.get_git_ref("heads/many").edit(commit.sha)
    paths = [entry.path for entry in repo.get_git_tree("many", recursive=True).tree if entry.type == "blob"]
    assert paths == ["README.md", "plots/a.png", "specs/b.yaml"]
    assert base64.b64decode(repo.get_git_blob(picture.sha).content) == b"\x89PNG"
    assert repo.get_git_commit(commit.sha).author.name == "lab-bot[bot]"


def test_a_ref_moves_forward_only_unless_forced(stage, refused):
    repo = stage.repo("bot")
    first = repo.get_branch("main").commit.sha
    second = stage.commit("bot", "work", "one.txt")
    ref = repo.get_git_ref("heads/work")
    with refused(422, "not a fast forward"):
        ref.edit(first)
    with refused(422, "already exists"):
        repo.create_git_ref("refs/heads/work", first)
    ref.edit(first, force=True)
    assert repo.get_git_ref("heads/work").object.sha == first != second
    ref.delete()
    with refused(404):
        repo.get_git_ref("heads/work")


def test_of_many_who_make_the_same_branch_at_once_one_does(stage):
    github = pytest.importorskip("github")
    repos = [stage.repo(who) for who in ("ann", "dev", "bot", "other") * 3]
    head = repos[0].get_branch("main").commit.sha

    def make(repo):
        try:
            return repo.create_git_ref("refs/heads/lock", head).ref
        except github.GithubException as error:
            return error.status

    with ThreadPoolExecutor(len(repos)) as pool:
        answers = list(pool.map(make, repos))
    assert sorted(answers, key=str) == [422] * 11 + ["refs/heads/lock"]


def test_a_comparison_has_commits_files_and_where_they_parted(stage):
    before = stage.repo("dev").get_branch("main").commit.sha
    stage.commit("dev", "side", "specs/side.yaml", "a: 1\n")
    stage.commit("dev", "main", "other.txt")
    found = stage.repo("dev").compare("main", "side")
    assert (found.status, found.ahead_by, found.behind_by) == ("diverged", 1, 1)
    assert [(file.filename, file.status, file.additions) for file in found.files] == [("specs/side.yaml", "added", 1)]
    assert found.merge_base_commit.sha == before


def test_an_annotated_tag_is_an_object_and_a_ref(stage):
    repo = stage.repo("bot")
    head = repo.get_branch("main").commit.sha
    tag = repo.create_git_tag("generation/language/G001", "the first", head, "commit")
    repo.create_git_ref(f"refs/tags/{tag.tag}", tag.sha)
    read = repo.get_git_tag(repo.get_git_ref("tags/generation/language/G001").object.sha)
    assert (read.message.strip(), read.object.sha, read.tagger.name) == ("the first", head, "lab-bot[bot]")
    assert [ref.ref for ref in repo.get_git_matching_refs("tags/generation/")] == ["refs/tags/generation/language/G001"]
    assert "G001" in stage.git("ls-remote", "--tags", stage.site.git_url("ann/lab"))


def test_roles_are_read_and_kept_to(stage, refused):
    repo = stage.repo("ann")
    assert [repo.get_collaborator_permission(login) for login in ("ann", "dev", "eve")] == ["admin", "write", "read"]
    assert [repo.has_in_collaborators(login) for login in ("dev", "eve")] == [True, False]
    with refused(403):
        stage.repo("eve").create_git_ref("refs/heads/mine", repo.get_branch("main").commit.sha)
    with refused(401, "Bad credentials"):
        stage.repo("a token that nobody has")
    assert stage.client("dev").get_user().id == stage.client("ann").get_user("dev").id


def test_an_app_gets_installation_tokens_with_its_key_and_nothing_else(stage, refused):
    github = pytest.importorskip("github")
    auth = github.Auth.AppAuth(4242, stage.site.app_key(4242))
    with github.GithubIntegration(auth=auth, base_url=stage.site.url) as app:
        installation = app.get_repo_installation("ann", "lab").id
        narrow = app.get_access_token(installation, permissions={"statuses": "write"}).token
        with refused(422, "not granted"):
            app.get_access_token(installation, permissions={"administration": "write"})
    repo = stage.repo(narrow)
    assert repo.get_commit("main").create_status("success", context="mine").creator.login == "lab-bot[bot]"
    with refused(403, "not accessible by integration"):
        repo.create_issue("no permission for this")
    with refused(401):
        stage.client(auth.create_jwt() + "x").get_repo("ann/lab")


def test_lists_come_in_pages(stage):
    repo = stage.repo("ann", per_page=2)
    for number in range(5):
        repo.create_label(f"label-{number}", "ededed")
    labels = repo.get_labels()
    assert labels.totalCount == 5
    assert [label.name for label in labels] == [f"label-{number}" for number in range(5)]
