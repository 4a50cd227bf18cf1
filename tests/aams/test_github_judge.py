"""`aams github judge`: nothing gets into main but what the path policy lets pass, and nobody else can say so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aams.cli import main
from aams.github import calls
from aams.github.repository import AUTHOR_ADDRESS

ROOT = Path(__file__).parents[2]
APP, OTHER_APP = 4242, 777
SPEC = "specs/language/candidates/wide.yaml"
CODE = {"aams/new.py": "NEW = 1\n"}


class Lab:
    """A repository at GitHub's emulator, set up as `.github/` declares, and a checkout of its main."""

    def __init__(self, site: Any, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        import github

        self.site, self.place, self.capsys = site, place, capsys
        self.token = {login: site.user(login) for login in ("ann", "dev", "eve")}
        self.token["bot"] = site.app("lab-bot", APP)
        self.token["other"] = site.app("other-bot", OTHER_APP)
        owners = (ROOT / ".github" / "CODEOWNERS").read_text().replace("@OWNER", "@ann")
        files = {"README.md": "A lab.\n", ".github/CODEOWNERS": owners, "logs/README.md": "Logs.\n"}
        site.repository("ann/lab", {"dev": "write"}, files)
        self._clients = {
            who: github.Github(
                base_url=site.url,
                auth=github.Auth.Token(token),
                retry=None,
                seconds_between_requests=0,
                seconds_between_writes=0,
            )
            for who, token in self.token.items()
        }
        self.checkout = self.clone("bot", "checkout")

    def repo(self, who: str, name: str = "ann/lab") -> Any:
        return self._clients[who].get_repo(name)

    def clone(self, who: str, folder: str, name: str = "ann/lab") -> Path:
        git(self.place, "clone", "--quiet", self.site.git_url(name, self.token[who]), folder)
        return self.place / folder

    def pull(self, who: str, files: dict[str, str], branch: str = "mine", fork: bool = False) -> Any:
        """A pull request that adds files, pushed by Git."""
        name = f"{who}/lab" if fork else "ann/lab"
        if fork:
            self.repo(who).create_fork()
        clone = self.clone(who, f"{who}-{branch}", name)
        git(clone, "checkout", "--quiet", "-b", branch)
        write(clone, files)
        git(clone, "push", "--quiet", "origin", branch)
        head = f"{who}:{branch}" if fork else branch
        return self.repo(who).create_pull(base="main", head=head, title=branch, body="")

    def judge(self, status: int = 0, app: int = APP) -> Any:
        """What the command says."""
        git(self.checkout, "pull", "--quiet")
        arguments = ["github", "judge", "--root", str(self.checkout), "--app", str(app), "--json"]
        assert main(arguments) == status
        said = self.capsys.readouterr()
        assert self.token["bot"] not in said.out + said.err
        return json.loads(said.out)["judged"] if status == 0 else said.err

    def checks(self, sha: str) -> list[Any]:
        return [run for run in self.repo("ann").get_commit(sha).get_check_runs() if run.name == "aams/arbiter"]

    def record(self, name: str) -> None:
        """A record on main, as the bot brings them."""
        repo = self.repo("bot")
        branch = f"aams/{name.rpartition('/')[2].partition('.')[0]}"
        repo.create_git_ref(f"refs/heads/{branch}", repo.get_branch("main").commit.sha)
        commit = repo.create_file(name, name, "1\n", branch=branch)["commit"]
        pull = repo.create_pull(base="main", head=branch, title=name, body="")
        repo.create_check_run("aams/arbiter", commit.sha, status="completed", conclusion="success")
        assert pull.merge(sha=commit.sha).merged

    def approve(self, pull: Any, who: str = "ann") -> None:
        self.repo(who).get_pull(pull.number).create_review(event="APPROVE")

    def merges(self, pull: Any) -> bool:
        """Whether the owner can merge it as it stands now."""
        import github

        try:
            fresh = self.repo("ann").get_pull(pull.number)
            return bool(fresh.merge(merge_method="merge", sha=fresh.head.sha).merged)
        except github.GithubException as error:
            assert error.status == 405
            return False


def git(folder: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "mine")


@pytest.fixture
def lab(
    github_emulator: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    pytest.importorskip("github")
    monkeypatch.setattr(calls, "FIRST_WAIT_S", 0.01)
    with github_emulator.GitHubEmulator(tmp_path / "site", actions=False) as site:
        made = Lab(site, tmp_path, capsys)
        for name, value in (("GITHUB_API_URL", site.url), ("GITHUB_SERVER_URL", site.url)):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GITHUB_REPOSITORY", "ann/lab")
        monkeypatch.setenv("AAMS_GITHUB_TOKEN", made.token["ann"])
        assert main(["github", "setup", "--root", str(ROOT), "--app", str(APP), "--apply"]) == 0
        capsys.readouterr()
        monkeypatch.setenv("AAMS_GITHUB_TOKEN", made.token["bot"])
        yield made


def test_code_is_merged_with_the_check_and_an_owners_review(lab: Lab) -> None:
    pull = lab.pull("dev", CODE)
    lab.approve(pull)
    assert not lab.merges(pull), "nobody has judged it yet"
    (judged,) = lab.judge()
    assert (judged["number"], judged["sha"], judged["new"]) == (pull.number, pull.head.sha, True)
    assert (judged["check"]["conclusion"], judged["check"]["title"]) == ("success", "not a promotion")
    assert lab.merges(pull)


def test_the_check_alone_merges_nothing(lab: Lab) -> None:
    pull = lab.pull("dev", CODE)
    lab.judge()
    assert not lab.merges(pull)


def test_judging_again_changes_nothing(lab: Lab) -> None:
    pull = lab.pull("dev", CODE)
    lab.judge()
    before = len(lab.site.requests)
    (judged,) = lab.judge()
    assert not judged["new"]
    asked = [one for one in lab.site.requests[before:] if one.path.startswith("/repos/")]
    assert {one.method for one in asked} == {"GET"}
    assert len(lab.checks(pull.head.sha)) == 1


def test_a_commit_after_the_judgement_is_judged_anew(lab: Lab) -> None:
    pull = lab.pull("dev", CODE)
    lab.judge()
    lab.approve(pull)
    write(lab.place / "dev-mine", {"logs/lineage.csv": "forged\n"})
    git(lab.place / "dev-mine", "push", "--quiet", "origin", "mine")
    assert not lab.merges(pull)
    (judged,) = lab.judge()
    assert judged["check"]["conclusion"] == "failure"
    lab.approve(pull)
    assert not lab.merges(pull)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({SPEC: "a: 1\n", "safety/contract.yaml": "a: 1\n"}, "a spec comes alone"),
        ({SPEC: "a: 1\n", ".github/workflows/evaluate.yml": "on: push\n"}, "a spec comes alone"),
        ({SPEC: "a: 1\n", ".github/CODEOWNERS": "* @eve\n"}, "a spec comes alone"),
        ({SPEC: "a: 1\n", "compiler/ops/attention.py.j2": "x\n"}, "a spec comes alone"),
        ({"logs/cycles/language-0/01-opened.json": "{}\n"}, "is a record, and only AAMS writes records"),
        ({"specs/language/HEAD": "G007 a b\n"}, "is a record"),
        ({"specs/history/language/G000/spec.yaml": "a: 1\n"}, "is a record"),
        ({"docs/metrics.json": "{}\n"}, "is a record"),
        ({"docs/`id`\n::set-output name=x::y @ann.md": "x\n"}, "is not a plain name"),
        ({"docs/$(touch x);.md": "x\n"}, "is not a plain name"),
        ({"readme.MD": "x\n"}, "differs from another name by case only"),
    ],
)
def test_what_breaks_the_policy_is_never_merged(files: dict[str, str], said: str, lab: Lab) -> None:
    pull = lab.pull("dev", files)
    lab.approve(pull)
    (judged,) = lab.judge()
    assert judged["check"]["conclusion"] == "failure"
    assert said in judged["check"]["summary"]
    assert judged["check"]["summary"].isascii()
    assert not lab.merges(pull)
    assert lab.checks(pull.head.sha)[0].conclusion == "failure"


def test_a_link_in_the_tree_is_never_merged(lab: Lab) -> None:
    clone = lab.clone("dev", "linked")
    (clone / "specs").symlink_to("/etc")
    git(clone, "checkout", "--quiet", "-b", "linked")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "linked")
    git(clone, "push", "--quiet", "origin", "linked")
    pull = lab.repo("dev").create_pull(base="main", head="linked", title="linked", body="")
    lab.approve(pull)
    (judged,) = lab.judge()
    assert "specs: is not a regular file, mode 120000" in judged["check"]["summary"]
    assert not lab.merges(pull)


@pytest.mark.parametrize("path", [SPEC, "specs/language/champion.yaml"])
def test_a_spec_is_promoted_and_not_merged(path: str, lab: Lab) -> None:
    pull = lab.pull("ann", {path: "schema_version: 1\n"})
    (judged,) = lab.judge()
    assert (judged["check"]["conclusion"], judged["check"]["title"]) == (
        "failure",
        "a spec is not merged: it is promoted",
    )
    lab.approve(pull, "dev")
    assert not lab.merges(pull)


def test_a_fork_is_judged_like_any_other(lab: Lab) -> None:
    good = lab.pull("eve", CODE, "good", fork=True)
    (judged,) = lab.judge()
    assert judged["check"]["conclusion"] == "success"
    lab.approve(good)
    assert lab.merges(good)


def test_a_check_or_a_status_of_anybody_else_counts_for_nothing(lab: Lab) -> None:
    pull = lab.pull("dev", {"logs/lineage.csv": "forged\n"})
    lab.approve(pull)
    commit = lab.repo("other").get_commit(pull.head.sha)
    commit.create_status("success", context="aams/arbiter", description="not a promotion")
    lab.repo("dev").get_commit(pull.head.sha).create_status("success", context="aams/arbiter")
    lab.repo("other").create_check_run(
        "aams/arbiter", pull.head.sha, status="completed", conclusion="success", output={"title": "x", "summary": "y"}
    )
    assert not lab.merges(pull)
    (judged,) = lab.judge()
    assert judged["new"]
    assert not lab.merges(pull)


def test_nobody_pushes_to_main_or_rewrites_it(lab: Lab) -> None:
    clone = lab.clone("ann", "owner")
    write(clone, {"specs/language/HEAD": "G007\n"})
    with pytest.raises(AssertionError, match="Changes must be made through a pull request"):
        git(clone, "push", "--quiet", "origin", "main")
    git(clone, "commit", "--quiet", "--amend", "--message", "other")
    with pytest.raises(AssertionError, match="push"):
        git(clone, "push", "--quiet", "--force", "origin", "main")


def test_an_outage_leaves_what_was_said_and_the_next_sweep_goes_on(lab: Lab) -> None:
    pulls = [lab.pull("dev", {f"docs/{name}.md": "x\n"}, name) for name in ("one", "two")]
    lab.site.fail_next("POST", "check-runs$", 502)
    assert "can't POST /check-runs; got 502" in lab.judge(status=1)
    judged = lab.judge()
    assert [one["number"] for one in judged] == [pull.number for pull in pulls]
    assert [len(lab.checks(pull.head.sha)) for pull in pulls] == [1, 1]
    assert not any(one["new"] for one in lab.judge())


def test_without_pull_requests_there_is_nothing_to_do(lab: Lab) -> None:
    assert lab.judge() == []


def test_outside_of_a_checkout_it_says_so(lab: Lab, tmp_path: Path) -> None:
    shutil.rmtree(lab.checkout / ".git")
    arguments = ["github", "judge", "--root", str(lab.checkout), "--app", str(APP)]
    assert main(arguments) == 1
    assert "is no checkout of main" in lab.capsys.readouterr().err


def test_what_a_merge_would_undo_is_judged_not_what_a_pull_request_shows(lab: Lab) -> None:
    """Two merge bases: Git's and GitHub's diff show a line of a README, and the merge would take a record back."""
    merged = lab.pull("dev", CODE, "code")
    lab.record("logs/notes/one.txt")
    lab.approve(merged)
    lab.judge()
    assert lab.merges(merged)
    clone = lab.clone("dev", "crafty")
    tip, main = merged.head.sha, git(clone, "rev-parse", "origin/main^1").strip()
    git(clone, "checkout", "--quiet", "--detach", tip)
    write(clone, {"logs/README.md": "Logs!\n"})
    tree = git(clone, "rev-parse", "HEAD^{tree}").strip()
    crafted = git(clone, "commit-tree", tree, "-p", tip, "-p", main, "-m", "only a README").strip()
    git(clone, "push", "--quiet", "origin", f"{crafted}:refs/heads/crafty")
    pull = lab.repo("dev").create_pull(base="main", head="crafty", title="README", body="")
    said = next(one for one in lab.judge() if one["number"] == pull.number)
    assert said["check"]["conclusion"] == "failure" and "logs/notes/one.txt" in said["check"]["summary"]


def test_what_stands_on_a_proposal_of_the_bots_is_refused(lab: Lab) -> None:
    clone = lab.clone("dev", "leaning")
    git(clone, "checkout", "--quiet", "-b", "leaning")
    (clone / "logs" / "entry.json").write_text("{}\n")
    git(clone, "add", "--all")
    git(clone, "-c", f"user.email={AUTHOR_ADDRESS}", "commit", "--quiet", "--message", "as the bot's")
    git(clone, "rm", "--quiet", "logs/entry.json")
    write(clone, CODE)
    git(clone, "push", "--quiet", "origin", "leaning")
    pull = lab.repo("dev").create_pull(base="main", head="leaning", title="code", body="")
    (said,) = lab.judge()
    assert (said["number"], said["check"]["title"]) == (pull.number, "it holds what the bot proposed")
