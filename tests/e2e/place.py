"""A repository of a few of this one's files, pushed as a person would, and what its workflows did."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.hub import NAME

ROOT = Path(__file__).parents[2]
SECRET = "what strangers never see"  # noqa: S105


class Place:
    """The repository, its people's clients, and a clone of ann's."""

    def __init__(self, site: Any, folder: Path) -> None:
        import github

        self.site, self.folder = site, folder
        self.tokens = {login: site.user(login) for login in ("ann", "eve")}
        self.site.repository(NAME, {}, {"README.md": "A lab.\n"})
        site.secret(NAME, "LAB", SECRET)
        options = {"base_url": site.url, "retry": None, "seconds_between_requests": 0, "seconds_between_writes": 0}
        self._clients = {who: github.Github(auth=github.Auth.Token(one), **options) for who, one in self.tokens.items()}
        self.git("clone", "--quiet", site.git_url(NAME, self.tokens["ann"]), str(folder), place=folder.parent)

    def copy(self, *names: str) -> None:
        for name in names:
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                left_out = shutil.ignore_patterns("__pycache__", "*.safetensors")
                shutil.copytree(ROOT / name, self.folder / name, symlinks=True, ignore=left_out)
            else:
                shutil.copy(ROOT / name, self.folder / name)

    def git(self, *arguments: str, place: Path | None = None) -> str:
        person = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        command = ["git", *person, *arguments]
        return subprocess.run(command, cwd=place or self.folder, check=True, capture_output=True, text=True).stdout

    def push(self, subject: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", subject)
        self.git("push", "--quiet", "origin", "HEAD:main")

    def repo(self, who: str, name: str = NAME) -> Any:
        return self._clients[who].get_repo(name)

    def from_fork(self, branch: str, files: dict[str, str]) -> Any:
        """A stranger's pull request, whose title and branch are as hostile as Git lets them be."""
        fork = self.repo("eve").create_fork()
        fork.create_git_ref(f"refs/heads/{branch}", self.repo("ann").get_branch("main").commit.sha)
        for name, text in files.items():
            fork.create_file(name, f"Add {name}", text, branch=branch)
        title = f"{branch} `{branch}` ::error::{branch}"
        return self.repo("eve").create_pull(base="main", head=f"eve:{branch}", title=title, body=f"$({branch})")

    def runs(self) -> Any:
        self.site.wait_for_runs(600)
        return self.site.runs(NAME)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
