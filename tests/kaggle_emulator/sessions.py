"""Sessions: a pushed text really runs, with its data, up to its time limit, in `sandbox`.

Each session has a thread of its own. How one goes otherwise than it should is told by its course.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from . import books, sandbox
from .datasets import walk
from .kernels import time_limit_s
from .records import WAITING, Session
from .site import Site

TOO_LONG = "Your notebook tried to run for longer than the allowed time"


class Sessions:
    """The runner of a site."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._idle = threading.Condition(site.lock)
        self._running: list[Session] = []
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False

    def start(self, session: Session, inputs: Mapping[str, Path]) -> None:
        """Let a session begin; one that is stuck only says so."""
        if session.course == "stuck":
            session.status = "RUNNING"
        if session.course in ("stuck", "queued"):
            return
        self._running.append(session)
        threading.Thread(target=self._go, args=(session, dict(inputs)), daemon=True).start()

    def stop(self, session: Session) -> None:
        """What waits or is stuck ends at once; what runs is killed."""
        if session.status not in WAITING:
            return
        session.status = "CANCEL_REQUESTED"
        if process := self._processes.get(session.id):
            _kill(process)
        elif session not in self._running:
            self._site.end(session, "CANCEL_ACKNOWLEDGED")

    def wait(self, timeout_s: float) -> None:
        """Wait until no session is left that goes on. Raises: TimeoutError."""
        with self._idle:
            if not self._idle.wait_for(lambda: not self._running, timeout_s):
                raise TimeoutError(f"after {timeout_s} s: {[str(each.folder) for each in self._running]}")

    def close(self) -> None:
        """Kill what runs, and wait until it has ended."""
        with self._site.lock:
            self._closed = True
            for session in self._running:
                self.stop(session)
        self.wait(30)

    def _go(self, session: Session, inputs: Mapping[str, Path]) -> None:
        try:
            status, failure = self._run(session, inputs)
            _spoil(session)
        except OSError as error:
            status, failure = "ERROR", f"The session could not be started: {error}"
        with self._idle:
            self._site.end(session, status, failure)
            books.write(self._site)
            self._running.remove(session)
            self._idle.notify_all()

    def _run(self, session: Session, inputs: Mapping[str, Path]) -> tuple[str, str]:
        """Run it to its end; gives the name of `KernelWorkerStatus` and the failure."""
        _lay_out(session, inputs)
        with self._site.lock:
            if session.status != "QUEUED" or self._closed:
                return "CANCEL_ACKNOWLEDGED", ""
            session.status, session.started_at = "RUNNING", time.monotonic()
            if session.course == "fails":
                return "ERROR", "An internal error ended the session"
            command = sandbox.command(session.folder, session.request["kernelType"])
            process = self._processes[session.id] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
            )
        late = threading.Event()
        timer = threading.Timer(time_limit_s(session.request), _end_late, (process, late))
        timer.start()
        for line in process.stdout or ():
            passed = round(time.monotonic() - session.started_at, 3)
            session.log.append({"stream_name": "stdout", "time": passed, "data": line.decode("utf-8", "replace")})
        code = process.wait()
        timer.cancel()
        if process.stdout:
            process.stdout.close()
        if session.status == "CANCEL_REQUESTED":
            return "CANCEL_ACKNOWLEDGED", ""
        if late.is_set():  # we suppose the status; the website shows it as an error
            return "ERROR", TOO_LONG
        if session.course == "strange":
            return "PREEMPTED", ""
        return ("COMPLETE", "") if code == 0 else ("ERROR", f"The session ended with exit code {code}")


def _lay_out(session: Session, inputs: Mapping[str, Path]) -> None:
    """Bring data and text to where a session finds them; a notebook lies among its own outputs."""
    for place in ("input", "src"):
        (session.folder / place).mkdir()
    for name, source in inputs.items():
        shutil.copytree(source, session.folder / "input" / name)
    is_notebook = session.request["kernelType"] == "notebook"
    text = session.working / "__notebook__.ipynb" if is_notebook else session.folder / "src" / "script.py"
    text.write_text(session.request.get("text", ""), encoding="utf-8")


def _spoil(session: Session) -> None:
    """Let outputs be cut, or not be there, where the course wants that."""
    for path in list(walk(session.working)) if session.course in ("partial", "empty") else []:
        if session.course == "empty":
            path.unlink()
        else:
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])


def _end_late(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a session's whole group: of bubblewrap alone, killed before it began, a child would wait for ever."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
