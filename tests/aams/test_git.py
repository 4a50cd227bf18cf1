from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from aams.errors import AamsError
from aams.git import (
    MAX_PRINTED_BYTES,
    commits_that_changed,
    head_commit,
    is_clean,
    repository_root,
    tracked_bytes,
    tracked_files,
    worktree,
)


def git(folder: Path, *arguments: str) -> None:
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    subprocess.run(["git", *arguments], cwd=folder, env=os.environ | identity, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "a.txt").write_bytes(b"one\r\n\0")
    (root / "-rf").mkdir()
    (root / "-rf" / "odd name\n.txt").write_bytes(b"two")
    git(root, "add", "--all")
    git(root, "-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--message", "first")
    return root


def test_outside_of_a_repository_every_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert repository_root(tmp_path) is None
    assert head_commit(tmp_path) is None
    assert is_clean(tmp_path) is None
    assert tracked_files(tmp_path, "0" * 40) is None
    assert tracked_bytes(tmp_path, "0" * 40, "a.txt") is None


def test_without_git_every_answer_is_none(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert repository_root(repository) is None
    assert head_commit(repository) is None


def test_a_repository_without_a_commit_has_a_root_and_no_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert repository_root(tmp_path) == tmp_path.resolve()
    assert head_commit(tmp_path) is None
    assert is_clean(tmp_path) is None


def test_a_commit_is_found_from_any_folder_below(repository: Path) -> None:
    assert repository_root(repository / "-rf") == repository.resolve()
    commit = head_commit(repository / "-rf")
    assert commit is not None
    assert len(commit) == 40


def test_clean_means_nothing_changed_and_nothing_new(repository: Path) -> None:
    assert is_clean(repository) is True
    (repository / "new.txt").write_bytes(b"")
    assert is_clean(repository) is False
    (repository / "new.txt").unlink()
    (repository / "a.txt").write_bytes(b"changed")
    assert is_clean(repository) is False


def test_a_commit_gives_its_names_and_exact_bytes(repository: Path) -> None:
    commit = head_commit(repository) or ""
    (repository / "a.txt").write_bytes(b"changed")
    assert tracked_files(repository, commit) == ("-rf/odd name\n.txt", "a.txt")
    assert tracked_bytes(repository, commit, "a.txt") == b"one\r\n\0"
    assert tracked_bytes(repository, commit, "-rf/odd name\n.txt") == b"two"
    assert tracked_bytes(repository, commit, "missing") is None
    assert tracked_bytes(repository, "--help", "a.txt") is None


def test_the_versions_of_a_file_are_those_that_were_in_force(repository: Path) -> None:
    """What a branch made of it before it was merged never was."""

    def write(text: str) -> None:
        (repository / "a.txt").write_text(text)
        git(repository, "commit", "--quiet", "--all", "--message", text)

    git(repository, "checkout", "--quiet", "-b", "side")
    write("never in force")
    write("two")
    git(repository, "checkout", "--quiet", "main")
    git(repository, "merge", "--quiet", "--no-ff", "--no-edit", "side")
    write("three")
    versions = [tracked_bytes(repository, commit, "a.txt") for commit in commits_that_changed(repository, "a.txt")]
    assert versions == [b"three", b"two", b"one\r\n\0"]
    assert commits_that_changed(repository, "none.txt") == ()
    assert commits_that_changed(repository.parent, "a.txt") == ()


def test_a_worktree_holds_the_commit_and_goes_away(repository: Path, tmp_path: Path) -> None:
    commit = head_commit(repository) or ""
    (repository / "a.txt").write_bytes(b"changed")
    with worktree(repository, commit, tmp_path / "past") as folder:
        assert (folder / "a.txt").read_bytes() == b"one\r\n\0"
        (folder / "scratch").write_bytes(b"")
    assert not (tmp_path / "past").exists()
    assert (repository / "a.txt").read_bytes() == b"changed"


@pytest.mark.parametrize("commit", ["0" * 40, "HEAD", "--help", ""])
def test_a_commit_that_is_none_gives_no_worktree(repository: Path, tmp_path: Path, commit: str) -> None:
    with (
        pytest.raises(AamsError, match="Git can't check this commit out"),
        worktree(repository, commit, tmp_path / "past"),
    ):
        pytest.fail("a worktree was made")


def test_what_git_prints_without_measure_is_no_answer(repository: Path) -> None:
    for size in (MAX_PRINTED_BYTES, MAX_PRINTED_BYTES + 1):
        (repository / "large.bin").write_bytes(bytes(size))
        git(repository, "add", "--all")
        git(repository, "commit", "--quiet", "--message", "large")
        found = tracked_bytes(repository, str(head_commit(repository)), "large.bin")
        assert (found is None) if size > MAX_PRINTED_BYTES else (found == bytes(size))
