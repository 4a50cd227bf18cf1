"""Pull requests from opening to merging, without rules, and from forks."""

from __future__ import annotations


def test_a_pull_request_is_opened_changed_read_and_merged(stage):
    pull = stage.pull("bot", "work")
    pull.edit(title="better", body="words")
    read = stage.repo("ann").get_pull(pull.number)
    assert (read.title, read.body, read.user.login, read.mergeable) == ("better", "words", "lab-bot[bot]", True)
    assert [(file.filename, file.status) for file in read.get_files()] == [("specs/one.yaml", "added")]
    assert [commit.commit.message for commit in read.get_commits()] == ["Add specs/one.yaml"]
    done = read.merge(sha=read.head.sha, merge_method="squash")
    assert done.merged
    read.update()
    assert (read.state, read.merged, read.merged_by.login, read.merge_commit_sha) == ("closed", True, "ann", done.sha)
    assert stage.repo("ann").get_git_commit(done.sha).message.startswith("better (#1)")
    assert read.is_merged()


def test_there_is_one_open_pull_request_for_a_branch_and_it_has_commits(stage, refused):
    pull = stage.pull("bot", "work")
    repo = stage.repo("bot")
    with refused(422, "already exists"):
        repo.create_pull(base="main", head="work", title="again", body="")
    repo.create_git_ref("refs/heads/empty", repo.get_branch("main").commit.sha)
    with refused(422, "No commits between"):
        repo.create_pull(base="main", head="empty", title="empty", body="")
    with refused(422, "head"):
        repo.create_pull(base="main", head="missing", title="missing", body="")
    assert [found.number for found in repo.get_pulls(head="ann:work", base="main")] == [pull.number]
    pull.edit(state="closed")
    assert repo.create_pull(base="main", head="work", title="again", body="").number == 2
    assert [found.number for found in repo.get_pulls(state="all")] == [2, 1]


def test_a_draft_is_not_merged_before_it_is_ready(stage, refused):
    pull = stage.pull("bot", "work", draft=True)
    with refused(405, "draft"):
        pull.merge()
    pull.mark_ready_for_review()
    assert not stage.repo("ann").get_pull(pull.number).draft
    assert pull.merge().merged
    actions = [event.action for event in stage.site.events if event.name == "pull_request"]
    assert actions == ["opened", "ready_for_review", "closed"]


def test_a_merge_names_the_head_that_was_read_and_conflicts_are_not_merged(stage, refused):
    pull = stage.pull("bot", "work", path="same.txt")
    with refused(409, "Head branch was modified"):
        pull.merge(sha="0" * 40)
    stage.commit("dev", "main", "same.txt", "another\n")
    pull.update()
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    with refused(405, "not mergeable"):
        pull.merge()


def test_a_push_moves_the_pull_request_and_a_deleted_branch_closes_it(stage):
    pull = stage.pull("bot", "work")
    later = stage.commit("bot", "work", "specs/two.yaml")
    pull.update()
    assert (pull.head.sha, pull.base.ref) == (later, "main")
    assert later in stage.git("ls-remote", stage.site.git_url("ann/lab"), f"refs/pull/{pull.number}/head")
    stage.repo("bot").get_git_ref("heads/work").delete()
    pull.update()
    assert (pull.state, pull.merged) == ("closed", False)


def test_a_stranger_proposes_from_a_fork_and_can_do_no_more(stage, refused):
    fork = stage.repo("eve").create_fork()
    assert fork.full_name == "eve/lab" and fork.fork
    head = stage.commit("eve", "idea", "specs/idea.yaml", name="eve/lab")
    pull = stage.repo("eve").create_pull(base="main", head="eve:idea", title="idea", body="")
    read = stage.repo("ann").get_pull(pull.number)
    assert (read.head.label, read.head.repo.full_name, read.head.sha) == ("eve:idea", "eve/lab", head)
    folder = stage.clone("bot")
    stage.git("fetch", "--quiet", "origin", f"refs/pull/{pull.number}/head", folder=folder)
    assert stage.git("rev-parse", "FETCH_HEAD", folder=folder).strip() == head
    later = stage.commit("eve", "idea", "specs/more.yaml", name="eve/lab")
    read.update()
    assert read.head.sha == later
    with refused(403):
        pull.merge()
    with refused(403):
        pull.add_to_labels("train")
    with refused(403):
        stage.repo("bot", "eve/lab").create_git_ref("refs/heads/taken", head)
    assert read.merge().merged


def test_hostile_names_and_words_come_through_as_they_are(stage):
    folder, title = stage.clone("dev"), "::error::$(touch x) <script> @ann `id` \x1b[31m"
    names = [":(exclude)*", 'a "b"\t;$(touch x).yaml', "-rf", "new\nline", "ünïcode #%?&.yaml"]
    for name in names:
        (folder / name).write_text("x\n")
    (folder / "link").symlink_to("README.md")
    stage.git("add", "--all", folder=folder)
    stage.git("commit", "--quiet", "--message", title, folder=folder)
    stage.git("push", "--quiet", "origin", "main:refs/heads/a;$(touch%20x)&#", folder=folder)
    repo = stage.repo("dev")
    pull = repo.create_pull(base="main", head="a;$(touch%20x)&#", title=title, body=title)
    read = stage.repo("ann").get_pull(pull.number)
    assert (read.title, read.head.ref) == (title, "a;$(touch%20x)&#")
    files = {file.filename: file for file in read.get_files()}
    assert sorted(files) == sorted([*names, "link"])
    assert all(file.patch.startswith("@@") for file in files.values())
    kinds = {entry.path: entry.mode for entry in repo.get_git_tree(read.head.sha).tree}
    assert kinds["link"] == "120000" and kinds["-rf"] == "100644"


def test_reviewers_are_asked_among_collaborators_and_not_the_author(stage, refused):
    pull = stage.pull("dev", "work")
    with refused(422, "author"):
        pull.create_review_request(reviewers=["dev"])
    with refused(422, "collaborators"):
        pull.create_review_request(reviewers=["eve"])
    pull.create_review_request(reviewers=["ann"])
    assert [user.login for user in pull.get_review_requests()[0]] == ["ann"]
    stage.review("ann", pull)
    pull.update()
    assert pull.requested_reviewers == []


def test_nobody_approves_their_own_pull_request(stage, refused):
    pull = stage.pull("bot", "work")
    with refused(422, "your own pull request"):
        pull.create_review(event="APPROVE")
    assert pull.create_review(event="COMMENT", body="words").state == "COMMENTED"
    review = stage.review("ann", pull)
    assert (review.state, review.commit_id, review.user.login) == ("APPROVED", pull.head.sha, "ann")
    review.dismiss("changed my mind")
    assert [review.state for review in pull.get_reviews()] == ["COMMENTED", "DISMISSED"]
