"""One door to torch for trusted code: a confined process that evaluates models, asked in JSON lines.

Takes jobs as plain data (`trainer/evaluate.py` lists them), gives answers as plain data. Never imports torch itself.
The process starts when the worker is made, so that its import of torch overlaps with whatever comes before the first
question.

The rule of failure: each job has a process of its own, forked by the service (`trainer/service.py`), and however that
ends, by a crash, for want of memory or at its deadline, is the job's answer, an error. The service itself never runs a
model. So if it is the service that ends, or is silent, then the installation is broken: a `LaneError`, and no retry.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from aams import confine
from aams.errors import AamsError, LaneError, Problem
from aams.strict import read_json

DEADLINE_S = 600.0
START_S = 120.0
LIMITS = confine.Limits(file_bytes=64 * 2**20, cpu_s=4 * 3600)
_CHUNK_BYTES = 1 << 20


class Worker:
    """`python -m trainer.service`, confined, for as long as the block lasts.

    Attributes:
        isolation: what confines it, of `confine.ISOLATIONS`.
    """

    def __init__(self, root: Path) -> None:
        """Start it.

        Args:
            root: the directory with the `trainer` package to trust: the repository's, never a bundle's.
        """
        self._home = tempfile.TemporaryDirectory(prefix="aams-worker-")
        home = Path(self._home.name)
        argv, environment, self.isolation = confine.command(
            [sys.executable, "-m", "trainer.service"], writable=home, limits=LIMITS, python_path=[root]
        )
        self._complaints = (home / "stderr").open("w+b")
        self._process = confine.start(argv, environment, stdin=subprocess.PIPE, stderr=self._complaints)
        self._read = b""

    def ask(self, job: Mapping[str, Any], deadline_s: float = DEADLINE_S) -> dict[str, Any]:
        """Have one job done; see `ask_all`."""
        return self.ask_all([job], deadline_s)[0]

    def ask_all(self, jobs: Sequence[Mapping[str, Any]], deadline_s: float = DEADLINE_S) -> list[dict[str, Any]]:
        """Have jobs done, a few at a time, each within its deadline.

        Returns:
            An answer to each, in their order: `{"error": one sentence}` where the job could not be done.

        Raises:
            LaneError: the service itself ended, or is silent; the worker is then of no more use.
        """
        try:
            self._send(json.dumps({"jobs": list(jobs), "deadline_s": deadline_s}).encode() + b"\n")
            deadline = time.monotonic() + START_S + deadline_s * len(jobs)
            lines = [self._line(deadline) for _ in jobs]
        except TimeoutError:
            self.close()
            raise _failed("torch's process is silent") from None
        except (OSError, EOFError):
            raise _failed("torch's process ended", self._last_words()) from None
        return [_read(line) for line in lines]

    def close(self) -> None:
        """End the process and remove its home. Closing twice does nothing."""
        if self._process.poll() is None:
            confine.stop(self._process, grace_s=1.0)
        for stream in (self._process.stdin, self._process.stdout, self._complaints):
            if stream:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._home.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _send(self, line: bytes) -> None:
        stream = self._process.stdin
        if stream is None or stream.closed:
            raise EOFError
        stream.write(line)
        stream.flush()

    def _line(self, deadline: float) -> bytes:
        """Read up to the end of a line."""
        stream = self._process.stdout
        if stream is None:
            raise EOFError
        while b"\n" not in self._read:
            ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(stream.fileno(), _CHUNK_BYTES)
            if not chunk:
                raise EOFError
            self._read += chunk
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _last_words(self) -> str:
        """The last line it wrote on stderr, or how it ended."""
        if self._complaints.closed:
            return "it was closed before"
        confine.stop(self._process, grace_s=1.0)
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else f"exit status {self._process.returncode}"


def _read(line: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = read_json(line, "its answer")
    except AamsError as error:
        return {"error": str(error)}
    return answer


def _failed(what: str, got: str = "") -> LaneError:
    return LaneError(Problem(what, got, "run the command again; if it stays, install the extra `train`"))
