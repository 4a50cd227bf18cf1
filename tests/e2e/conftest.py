"""A real lab in a folder of its own: this checkout's files, with a fraction of the compute and of the questions."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.hub import Hub

ROOT = Path(__file__).parents[2]
ROOMS = ("aams", "compiler", "domains", "evaluator", "evolution", "kaggle", "requirements", "safety", "trainer")
DIVISOR = 20
BETTER = """\
schema_version: 1
domain: language
model:
  width: 32
  context: 64
  tied: false
  blocks:
    - {mixer: {op: causal-conv, kernel: 4}, channel: {op: mlp, ratio: 2, activation: relu2}}
training: {optimizer: {op: muon, lr: 0.03, adamw_lr: 0.02}, batch_tokens: 512}
"""


class LabFolder:
    """A lab and the commands a person would type in it, none of which takes longer than `patience_s`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.patience_s = 300

    def start(self, *arguments, path=os.environ["PATH"], **options):
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(self.path)}
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=self.path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *arguments, status=0):
        """Run a command to its end; its answer, checked for its exit status and for never showing a traceback."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=self.patience_s)
        assert "Traceback" not in out + err, out + err
        assert process.returncode == status, f"exit status {process.returncode}\n{out}\n{err}"
        return out if status == 0 else err

    def cycle(self, seed, *arguments, status=0):
        answer = self.run("aams.run_cycle", "--seed", str(seed), "--json", *arguments, status=status)
        return json.loads(answer) if status == 0 else answer

    def aams(self, *arguments, status=0):
        return self.run("aams", *arguments, status=status)

    def git(self, *arguments):
        person = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
        subprocess.run(["git", *person, *arguments], cwd=self.path, check=True, capture_output=True)

    def verify(self):
        """What every test ends with: nothing that is recorded is broken."""
        assert "All right" in self.aams("verify")

    def contract(self, **changes):
        """Set thresholds of the contract, as a person would."""
        path = self.path / "safety" / "contract.yaml"
        text = path.read_text()
        for name, value in changes.items():
            text, count = re.subn(rf"(?m)^((?:  )?{name}: )\S+", rf"\g<1>{value}", text)
            assert count == 1, name
        path.write_text(text)

    def entries(self, event):
        """All entries of one event, oldest first."""
        found = [json.loads(path.read_text()) for path in self.path.glob(f"logs/cycles/*/*-{event}.json")]
        return sorted(found, key=lambda entry: (entry["time"], entry["cycle"], entry["number"]))

    def head(self, domain="language"):
        path = self.path / "specs" / domain / "HEAD"
        return path.read_text().split()[0] if path.exists() else ""

    def better_child(self):
        """A hand-made child that is truly better than the weak root."""
        path = self.path / "specs" / "language" / "candidates" / "better.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BETTER)
        return str(path)

    def copy(self, path: Path) -> LabFolder:
        shutil.copytree(self.path, path, symlinks=True)
        return LabFolder(path)


def _fraction(number: re.Match[str]) -> str:
    return str(int(number[0].replace("_", "")) // DIVISOR) if number[0].strip("_") else number[0]


def _build(path: Path) -> LabFolder:
    for room in ROOMS:
        shutil.copytree(ROOT / room, path / room, ignore=shutil.ignore_patterns("__pycache__"))
    for domain in ("language", "vision", "hybrid"):
        module = path / "domains" / domain / "__init__.py"
        wanted = r"(?m)^(COMPUTE_FLOPS = |EVALUATED.*)[0-9_{].*$"
        text, count = re.subn(wanted, lambda line: re.sub(r"[0-9_]{2,}", _fraction, line[0]), module.read_text())
        assert count == 2
        module.write_text(text)
    signers = path / "safety" / "allowed_signers"  # without those that `make cycle` added for this checkout's own keys
    signers.write_text("".join(line for line in signers.read_text().splitlines(True) if line.startswith("#")))
    lab = LabFolder(path)
    lab.contract(alpha=0.5, pairs_max=8, placebo_rate=0)
    lab.run("aams", "log")
    return lab


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Gives a function: the lab of a name, built by the first of pytest's processes that asks for it. Never changed."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent  # the processes' own folders lie in it

    def lab(name, build):
        folder, whole = place / name, place / f"{name}.whole"
        with (place / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)  # another process died while it built
                build(folder)
                whole.touch()
        return LabFolder(folder)

    return lab


@pytest.fixture(scope="session")
def empty_lab(built):
    """A lab without any history. Never changed: tests take copies."""
    return built("empty", _build)


@pytest.fixture(scope="session")
def lab_with_root(empty_lab, built):
    """A lab with G000 in language, trained by a recipe that hardly learns, so that real gains exist. Never changed.

    Smaller batches let it do with a quarter of the compute that an empty lab has.
    """
    return built("root", lambda folder: _train_root(empty_lab.copy(folder)))


def _train_root(lab: LabFolder) -> None:
    language = lab.path / "domains" / "language"
    for name, pattern, text in (
        ("baseline.yaml", r"optimizer: \{[^}]*\}", "optimizer: {op: sgd, lr: 0.00001}"),
        ("baseline.yaml", "batch_tokens: 1024", "batch_tokens: 256"),
        ("__init__.py", "COMPUTE_FLOPS = 5000000000", "COMPUTE_FLOPS = 1250000000"),
    ):
        changed, count = re.subn(pattern, text, (language / name).read_text())
        assert count == 1, pattern
        (language / name).write_text(changed)
    lab.contract(screen_margin=1)
    shutil.copy(ROOT / ".gitignore", lab.path)
    lab.git("init", "--quiet", "--initial-branch=main")
    lab.git("add", "--all")
    lab.git("commit", "--quiet", "--message", "A lab")
    lab.cycle(1, "--children", "1")
    lab.contract(screen_margin=0.005, tone_drift=1, tone_drift_root=1)


@pytest.fixture
def lab(lab_with_root, tmp_path):
    """A lab with a champion in the language domain."""
    return lab_with_root.copy(tmp_path / "lab")


@pytest.fixture(scope="session")
def waiting_lab(lab_with_root, built):
    """A lab whose G001 was accepted by the arbiter and waits for its second key. Never changed: tests take copies."""

    def attempt(folder):
        lab = lab_with_root.copy(folder)
        assert lab.cycle(3, "--spec", lab.better_child(), "--no-approve")["outcome"] == "waiting"

    return built("waiting", attempt)


@pytest.fixture
def hub(github_emulator, lab, tmp_path):
    """A lab with a champion at GitHub, where no workflow runs by itself: tests type their commands."""
    pytest.importorskip("github")
    with github_emulator.GitHubEmulator(tmp_path / "site", actions=False) as site:
        made = Hub(site, lab, tmp_path)
        yield made
        made.close()
