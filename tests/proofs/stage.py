"""Where the crash sweep plays: labs prepared at every step of a cycle, and commands that start in a few milliseconds.

`prepare` trains once and keeps a copy of the lab before each command of interest. `Stage` runs commands in forks of one
process that has imported everything already, under strace if wanted. Run as a program it is that process.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
WARM = (
    "aams.cycle",
    "aams.commands.outcome",
    "aams.generation",
    "jsonschema",
    "ruamel.yaml",
    "safety.verify",
    "_strptime",
)
"""What commands import when they run."""
PARTS = (".aams", "docs", "logs", "safety", "specs")
"""What of a lab is data: the code comes from one lab for all of them."""


def load(path: Path) -> ModuleType:
    """Import a module of the tests, which are no packages."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, negative for a signal, and what it printed."""

    status: int
    out: str
    err: str


class Stage:
    """A process with the code of one lab, and forks of it that run one command each."""

    def __init__(self, code: Path, place: Path) -> None:
        self._place = place
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__))],
            cwd=code,
            env={
                **os.environ,
                "PYTHONPATH": str(code),
                "OMP_NUM_THREADS": "1",
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, root: Path, *argv: str, strace: Sequence[str] = ()) -> Ended:
        """Run `aams ARGV --root ROOT` to its end, under `strace OPTIONS` from before its first step."""
        assert self._process.stdin and self._process.stdout
        files = [str(self._place / name) for name in ("out", "err")]
        self._tell(json.dumps({"argv": [*argv, "--root", str(root)], "files": files}).encode() + b"\n")
        pid = json.loads(self._process.stdout.readline())
        with _traced(pid, strace):
            self._tell(b"!")
            status = json.loads(self._process.stdout.readline())
        out, err = (Path(name).read_text(errors="replace") for name in files)
        return Ended(status, out, err)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=20)

    def _tell(self, content: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(content)
        self._process.stdin.flush()


@contextlib.contextmanager
def _traced(pid: int, options: Sequence[str]) -> Iterator[None]:
    if not options:
        yield
        return
    with subprocess.Popen(["strace", *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True) as tracer:
        assert tracer.stderr
        said = tracer.stderr.readline()
        assert "attached" in said, said
        yield
        tracer.stderr.read()


def _serve() -> None:
    """Fork for every line of stdin: say the fork's pid, wait for a byte, run its command, say its status."""
    from aams import cli

    for name in WARM:
        importlib.import_module(name)
    while line := _read_line():
        request = json.loads(line)
        child = os.fork()
        if not child:
            os.read(0, 1)
            for number, name in enumerate(request["files"], start=1):
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            status = 70
            try:
                status = cli.main(request["argv"])
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(status)
        os.write(1, f"{child}\n".encode())
        _, ended = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(ended)}\n".encode())


def _read_line() -> bytes:
    """Read up to the end of a line, and not a byte more: that one is for the fork."""
    line = b""
    while byte := os.read(0, 1):
        if byte == b"\n":
            break
        line += byte
    return line


def prepare(place: Path) -> tuple[Path, dict[str, Path]]:
    """Build a lab, take it through a root and a real gain, and keep what it was before each step.

    Returns:
        The lab with the code, and the prepared labs by name, each with `results` beside it where there are some.
    """
    e2e = load(HERE.parent / "e2e" / "conftest.py")
    lab = e2e._build(place / "code")
    lab.contract(tone_drift=1, tone_drift_root=1)
    baseline = lab.path / "domains" / "language" / "baseline.yaml"
    start = baseline.read_text()
    baseline.write_text(start.replace(start[start.index("optimizer: {") :].partition("}")[0] + "}", WEAK))
    candidate = place / "better.yaml"
    candidate.write_text(e2e.BETTER)
    driver = [sys.executable, "-P", str(Path(__file__)), "prepare", str(place), str(candidate)]
    environment = {**os.environ, "PYTHONPATH": str(lab.path), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(driver, cwd=lab.path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    names = json.loads(ended.stdout.splitlines()[-1])
    return lab.path, {name: place / name for name in names}


WEAK = "optimizer: {op: sgd, lr: 0.00001}"
PROPOSE = ("propose", "--seed", "3")


def _prepare(place: Path, candidate: Path) -> None:
    """Run a whole cycle in this process, with one torch service, whose answers are kept."""
    import io

    import domains
    from aams import cli, views
    from aams.cycle import lab as labs
    from aams.lanes import LANES, train
    from aams.worker import Worker
    from safety.contract import CONTRACT_PATH, load_contract

    canned_service = load(HERE / "canned_service.py")
    root, kept, answers = place / "code", [], {}
    worker = Worker(root)

    class Recording:
        """The worker of every lab that is opened here."""

        def __init__(self, _: Path) -> None: ...

        def ask(self, job: Any) -> Any:
            return self.ask_all([job])[0]

        def ask_all(self, jobs: Any) -> Any:
            given = worker.ask_all(jobs)
            answers.update({canned_service.key(job): answer for job, answer in zip(jobs, given, strict=True)})
            return given

        def close(self) -> None: ...

    labs.Worker = Recording  # type: ignore[assignment,misc]

    def aams(*argv: str) -> Any:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert cli.main([*argv, "--json", "--root", str(root)]) == 0, argv
        return json.loads(out.getvalue())

    def keep(name: str, results: Path | None = None) -> None:
        for part in PARTS:
            if (root / part).exists():
                shutil.copytree(root / part, place / name / part, symlinks=True)
        if results:
            shutil.copytree(results, place / name / "results")
        kept.append(name)

    def trained(told: Any) -> Path:
        archive = Path(told["bundle"])
        lane = LANES["local"](archive.parent, load_contract(root / CONTRACT_PATH))
        return train(lane, archive, archive.parent / "returned", lambda _: None)

    views.write_views(root, [])
    keep("new")
    domains.prepare("language", cache=root / labs.CACHE)
    keep("empty")
    told = aams(*PROPOSE)
    aams("ingest", told["cycle"], str(trained(told)))
    aams("approve", "G000")
    keep("champion")
    told = aams(*PROPOSE, "--spec", str(candidate))
    out = trained(told)
    keep("trials", out)
    told = aams("ingest", told["cycle"], str(out))
    out = trained(told)
    keep("attempt", out)
    told = aams("ingest", told["cycle"], str(out))
    assert told["outcome"] == "waiting", told
    keep("waiting")
    aams("approve", "G001")
    keep("promoted")
    worker.close()
    for name in kept:
        (place / name / "trainer").mkdir()
        (place / name / "trainer" / "__init__.py").touch()
        shutil.copyfile(HERE / "canned_service.py", place / name / "trainer" / "service.py")
        (place / name / "trainer" / "answers.json").write_text(json.dumps(answers))
    print(json.dumps(kept))


if __name__ == "__main__":
    if sys.argv[1:2] == ["prepare"]:
        _prepare(*map(Path, sys.argv[2:4]))
    else:
        _serve()
