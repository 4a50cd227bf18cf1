from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from aams.cli import main
from aams.errors import AamsError
from aams.founding import found_lab
from aams.views import compile_views

STAY = {
    "README.md": "read me\n",
    "aams/cli.py": "print()\n",
    "specs/language/.gitkeep": "",
    "specs/history/.gitkeep": "",
    "specs/language/candidates/mine.yaml": "schema_version: 1\n",
    "logs/cycles/.gitkeep": "",
    "docs/data/.gitkeep": "",
    "docs/metrics.sample.json": "{}\n",
    "odd name\n.txt": "two\n",
    "binary.bin": "\x00\x01",
}
HISTORY = {
    "logs/cycles/language-0/01-opened.json": "{}",
    "specs/history/language/G000/EVAL.md": "good",
    "specs/language/HEAD": "G000\n",
    "specs/language/champion.yaml": "model: {}\n",
    "docs/data/experiments-0000.json": "[]",
}
VIEWS = {"logs/experiments.jsonl": '{"old": 1}\n', "docs/metrics.json": '{"old": 1}\n'}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def lived_in(tmp_path: Path) -> Path:
    """A lab with a history, a script, two commits, and changes that nobody committed."""
    root = tmp_path / "lived-in"
    for name, text in {**STAY, **HISTORY, **VIEWS}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    git(root, "init", "--quiet", "--initial-branch=trunk")
    git(root, "add", "README.md")
    git(root, "commit", "--quiet", "--message", "first")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "second")
    (root / "README.md").write_text("changed since\n")
    (root / "untracked.txt").write_text("mine\n")
    return root


def files_of(folder: Path) -> set[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if path.parts[0] != ".git"}


def test_a_new_lab_has_the_files_of_the_commit_and_nothing_of_its_life(lived_in: Path, tmp_path: Path) -> None:
    count = found_lab(lived_in, tmp_path / "new")
    assert files_of(tmp_path / "new") == {*STAY, "run.sh", *compile_views([])}
    assert count == len(STAY) + 1 + len(VIEWS)
    assert (tmp_path / "new" / "README.md").read_text() == "read me\n", "as committed, not as edited"
    for name, content in compile_views([]).items():
        assert (tmp_path / "new" / name).read_bytes() == content
    assert os.access(tmp_path / "new" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "new" / "README.md", os.X_OK)


def test_a_new_lab_is_one_clean_commit_on_main(lived_in: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    found_lab(lived_in, new)
    assert git(new, "rev-list", "--count", "--all").strip() == "1"
    assert git(new, "branch", "--show-current").strip() == "main"
    assert git(new, "status", "--porcelain") == ""
    assert git(new, "remote") == ""


def test_a_new_lab_is_in_order_from_its_first_minute(
    lived_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found_lab(lived_in, tmp_path / "new")
    assert main(["verify", "--root", str(tmp_path / "new")]) == 0
    assert "All right: 0 entries, 0 generations" in capsys.readouterr().out


def test_the_old_lab_is_left_as_it_was(lived_in: Path, tmp_path: Path) -> None:
    def picture() -> tuple[dict[str, bytes], str, str]:
        contents = {name: (lived_in / name).read_bytes() for name in files_of(lived_in)}
        return contents, git(lived_in, "rev-parse", "HEAD"), git(lived_in, "status", "--porcelain")

    before = picture()
    found_lab(lived_in, tmp_path / "new")
    assert picture() == before


def test_the_commit_goes_to_the_new_lab_even_inside_of_a_hook(
    lived_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = git(lived_in, "rev-list", "--all")
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(lived_in / ".git"))
        hook.setenv("GIT_WORK_TREE", str(lived_in))
        found_lab(lived_in, tmp_path / "new")
    assert git(lived_in, "rev-list", "--all") == before
    assert git(tmp_path / "new", "rev-list", "--count", "--all").strip() == "1"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_existing_place_is_refused_and_left_alone(lived_in: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "taken"
    place.mkdir() if kind == "folder" else place.write_text("mine")
    with pytest.raises(AamsError, match="taken: exists already; name a folder that does not exist"):
        found_lab(lived_in, place)
    assert place.read_text() == "mine" if kind == "file" else not list(place.iterdir())


def test_a_folder_that_is_in_no_repository_can_found_nothing(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(AamsError, match="a new lab is made from a commit; got no Git repository"):
        found_lab(tmp_path / "plain", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_repository_without_a_commit_can_found_nothing(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "young")
    with pytest.raises(AamsError, match="a new lab is made from a commit"):
        found_lab(tmp_path / "young", tmp_path / "new")


def test_init_says_where_the_new_lab_is(lived_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new"), "--root", str(lived_in), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"folder": str(tmp_path / "new"), "files": len(STAY) + 1 + len(VIEWS)}
    assert "a clean lab with 13 files and one commit" in err
    assert main(["init", str(tmp_path / "new"), "--root", str(lived_in)]) == 1
    assert "exists already" in capsys.readouterr().err
