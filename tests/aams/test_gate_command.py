"""`aams gate`: a branch is judged as it is committed, and nothing that lies around is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aams.cli import main

ROOT = Path(__file__).parents[2]
ROOMS = ("aams", "compiler", "domains", "evaluator", "evolution", "requirements", "safety", "trainer")
SPEC = "specs/vision/candidates/wide.yaml"

Commit = Callable[..., None]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab without history, committed on main. Never changed."""
    root = tmp_path_factory.mktemp("founded") / "lab"
    for room in ROOMS:
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".gitignore").write_text("__pycache__\n.aams/\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "a lab")
    return root


@pytest.fixture
def lab(founded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lab with a branch checked out."""
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    git(tmp_path, "clone", "--quiet", str(founded), "lab")
    git(tmp_path / "lab", "checkout", "--quiet", "-b", "mine")
    return tmp_path / "lab"


@pytest.fixture
def commit(lab: Path) -> Commit:
    """Commits files by name; None deletes one."""

    def write(files: dict[str, str | None]) -> None:
        for name, text in files.items():
            (lab / name).parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                (lab / name).unlink()
            else:
                (lab / name).write_text(text)
        git(lab, "add", "--all")
        git(lab, "commit", "--quiet", "--allow-empty", "--message", "mine")

    return write


def baseline(**changes: str) -> str:
    text = (ROOT / "domains" / "vision" / "baseline.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return text


def gate(lab: Path, *arguments: str) -> int:
    return main(["gate", "--root", str(lab), *arguments])


def test_a_good_spec_is_priced_and_tried_beside_the_baseline(
    lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({SPEC: baseline(**{"warmup: 0.05": "warmup: 0.1"})})
    assert gate(lab, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["files"], told["refused"]) == ("spec", [SPEC], {})
    (child,) = told["children"]
    assert child["id"] == told["spec"]
    assert child["cost"]["parameters"] > 0
    assert git(lab, "status", "--porcelain") == ""
    assert git(lab, "worktree", "list").count("\n") == 1


def test_a_faulty_spec_is_named_by_its_line(lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({SPEC: baseline(**{"schema_version: 1": "schema_version: 1\nwidht: 3"})})
    assert gate(lab, "--annotations") == 1
    assert f"::error file={SPEC},line=" in capsys.readouterr().err


def test_what_a_gate_refuses_is_named_by_the_gate(
    lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({SPEC: baseline(**{"width: 32": "width: 1024"})})
    assert gate(lab) == 1
    assert f"error: {SPEC}: gate fairness: " in capsys.readouterr().err


def test_a_spec_lies_in_its_own_domain(lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({"specs/language/candidates/wide.yaml": baseline()})
    assert gate(lab) == 1
    assert "is a vision spec; move it to specs/vision/" in capsys.readouterr().err


def test_what_is_judged_is_what_is_committed(lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({SPEC: baseline(**{"warmup: 0.05": "warmup: 0.1"})})
    (lab / SPEC).write_text("not yet committed")
    (lab / "specs" / "vision" / "champion.yaml").write_text("somebody's work")
    assert gate(lab) == 0
    assert (lab / SPEC).read_text() == "not yet committed"
    assert (lab / "specs" / "vision" / "champion.yaml").read_text() == "somebody's work"


def test_code_has_nothing_to_try(lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    commit({"aams/new.py": "NEW = 1\n", "safety/seal.py": None})
    assert gate(lab, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"kind": "code", "files": ["aams/new.py", "safety/seal.py"]}


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"logs/cycles/language-0/01-opened.json": "{}"}, "is a record, and only AAMS writes records"),
        ({"specs/language/HEAD": "G007\n"}, "is a record"),
        ({SPEC: "x", "safety/contract.yaml": "x"}, "a spec comes alone"),
        ({SPEC: "x", ".github/workflows/evaluate.yml": "x"}, "a spec comes alone"),
        ({"docs/new line\n::warning::.md": "x"}, "docs/new line\\n::warning::.md: is not a plain name"),
        ({"specs/vision/$(id).yaml": "x"}, "is no place for a spec"),
        ({}, "changes nothing"),
    ],
)
def test_what_breaks_the_policy_is_refused_by_name(
    files: dict[str, str], said: str, lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(files)
    assert gate(lab) == 1
    err = capsys.readouterr().err
    assert said in err
    assert all(line.startswith("error: ") for line in err.splitlines())


@pytest.mark.parametrize("faulty", ["widht: 3", "training: !!python/object/apply:os.getcwd []", "model: *none"])
def test_a_spec_that_is_faulty_too_is_named_by_its_line_beside_what_breaks_the_policy(
    faulty: str, lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({SPEC: f"schema_version: 1\ndomain: vision\n{faulty}\n", "logs/lineage.csv": "x\n"})
    assert gate(lab, "--annotations") == 1
    err = capsys.readouterr().err
    assert "::error file=logs/lineage.csv::" in err and f"::error file={SPEC},line=3," in err


def test_a_link_is_refused(lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "specs" / "vision" / "candidates").mkdir(parents=True)
    (lab / SPEC).symlink_to("/etc/passwd")
    commit({})
    assert gate(lab) == 1
    assert "is not a regular file; got mode 120000" in capsys.readouterr().err


def test_what_main_has_got_meanwhile_is_not_the_branchs(
    lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({"docs/mine.md": "mine\n"})
    git(lab, "checkout", "--quiet", "main")
    commit({"logs/cycles/language-0/01-opened.json": "{}"})
    git(lab, "checkout", "--quiet", "mine")
    assert gate(lab) == 0
    assert "1 changed files: code, nothing against it" in capsys.readouterr().out


@pytest.mark.parametrize("base", ["nowhere", "--upload-pack=touch x", "main;id", ""])
def test_a_base_that_is_none_is_an_error(
    base: str, lab: Path, commit: Commit, capsys: pytest.CaptureFixture[str]
) -> None:
    commit({"docs/mine.md": "mine\n"})
    assert gate(lab, f"--base={base}") == 1
    assert "have no history in common" in capsys.readouterr().err
