"""Laws that hold for the repository as a whole, whatever room a change is in."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("aams", "compiler", "domains", "evaluator", "evolution", "safety", "trainer")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

MAX_LINES = 400
WRITTEN_BY_THE_COMPILER = ("specs/", "tests/golden/")
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:farm|home|mnt|opt|private|root|tmp|Users|work)/\w[\w./-]*")
HEAVY_MODULES = (
    *("datasets", "matplotlib", "pandas", "pyarrow", "ray"),
    *("sentence_transformers", "sklearn", "torch", "transformers"),
)


def tracked_files() -> list[str]:
    """Every file that git holds or would add; without git, a source archive says nothing about tracking."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode:
        pytest.skip(f"not a git work tree: {listing.stderr.decode().strip()}")
    return sorted(name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file())


def code_files() -> list[str]:
    return [name for name in tracked_files() if name.endswith(".py") and not name.startswith(WRITTEN_BY_THE_COMPILER)]


def modules_of(room: str) -> list[str]:
    paths = sorted((ROOT / room).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if not name.endswith(".__main__")]


def imported_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def test_the_kaggle_directory_never_shadows_the_kaggle_client() -> None:
    assert not list((ROOT / "kaggle").rglob("__init__.py"))


def test_tests_are_not_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_no_tracked_file_names_a_path_of_a_machine() -> None:
    found = []
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if b"\0" in content or name == "tests/test_repository.py":
            continue
        for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            found += [f"{name}:{number}: {path}" for path in MACHINE_PATH.findall(line)]
    assert not found


@pytest.mark.parametrize("path", ["/home/ann/aams", "at /work/lab/aams", '"/tmp/bundle"', "(/Users/ann/x)"])
def test_a_path_of_a_machine_is_recognised(path: str) -> None:
    assert MACHINE_PATH.search(path)


@pytest.mark.parametrize("path", ["docs/home/page", "https://example.org/home/page", "$HOME/work/aams", "/usr/bin/env"])
def test_other_paths_are_left_alone(path: str) -> None:
    assert not MACHINE_PATH.search(path)


def test_every_python_file_stays_readable_in_one_sitting() -> None:
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in code_files()}
    assert {name: count for name, count in lengths.items() if count > MAX_LINES} == {}


def test_nothing_is_ever_unpickled() -> None:
    found = []
    for name in code_files():
        tree = ast.parse((ROOT / name).read_bytes(), filename=name)
        for line, module in imported_names(tree):
            if module.partition(".")[0] in ("cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"):
                found.append(f"{name}:{line}: imports {module}")
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            if call in ("torch.load", "torch.jit.load", "torch.package.PackageImporter"):
                found.append(f"{name}:{node.lineno}: calls {call}")
            if any(keyword.arg == "allow_pickle" for keyword in node.keywords):
                found.append(f"{name}:{node.lineno}: {call} is asked to allow pickle")
    assert not found


RUNS_CODE = {"trainer/models.py": ["exec"]}
"""The one door through which generated code runs: confined, in the trainer."""


def test_nothing_from_outside_is_run_or_extracted_by_name() -> None:
    found: dict[str, list[str]] = {}
    for name in code_files():
        if name.startswith("tests/"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_bytes(), filename=name)):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            if call in ("eval", "exec", "__import__", "builtins.eval", "builtins.exec", "runpy.run_path"):
                found.setdefault(name, []).append(call)
            if call.endswith((".extract", ".extractall", ".unpack_archive")) or call in ("os.system", "os.popen"):
                found.setdefault(name, []).append(call)
            if any(keyword.arg == "shell" for keyword in node.keywords):
                found.setdefault(name, []).append(f"{call} with a shell")
    assert found == RUNS_CODE


def test_importing_the_control_loop_imports_nothing_heavy() -> None:
    modules = [name for room in ROOMS if room != "trainer" for name in modules_of(room)]
    program = (
        "import importlib, json, sys\n"
        "guilty = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    importlib.import_module(name)\n"
        "    for heavy in json.loads(sys.argv[2]):\n"
        "        if heavy in sys.modules:\n"
        "            guilty.setdefault(heavy, name)\n"
        "sys.exit('\\n'.join(f'{name} imports {heavy}' for heavy, name in guilty.items()) or 0)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", program, json.dumps(modules), json.dumps(HEAVY_MODULES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr


def test_every_package_is_listed_in_pyproject() -> None:
    found = [
        ".".join(path.parent.relative_to(ROOT).parts) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")
    ]
    assert sorted(found) == sorted(PROJECT["tool"]["setuptools"]["packages"])


def test_every_module_of_the_control_loop_lies_in_a_layer() -> None:
    contract = PROJECT["tool"]["importlinter"]["contracts"][0]
    layered = {name for layer in contract["layers"] for name in re.split(r" [|:] ", layer)}
    modules = {"aams.__main__"} | {".".join(name.split(".")[:2]) for name in modules_of("aams") if name != "aams"}
    assert modules == {name for name in layered if name.startswith("aams.")}


def test_every_locked_distribution_has_a_hash_and_no_lock_names_an_index() -> None:
    for path in sorted((ROOT / "requirements").glob("*.lock")):
        logical_lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        entries = [line for line in logical_lines if line and not line.startswith("#")]
        assert entries, path.name
        assert [line for line in entries if "==" not in line or "--hash=sha256:" not in line] == []
