"""The laws a model's code lives under: it writes nothing, reaches no network, starts no process, reads only its bundle.

Takes the places that may be read, stops whatever else Python reports through its audit hook (PEP 578), and lists it.
A tripwire, not a wall: native code can go around it, so lanes also confine the whole process (`aams.confine`). An
audit hook can't be removed, so a guard lives as long as its process.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MAX_LISTED = 64
_MAX_TEXT = 160

_LAW_OF_EVENT = {
    **dict.fromkeys(("os.listdir", "os.scandir", "os.chdir", "glob.glob"), "read"),
    **dict.fromkeys(
        (
            *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
            *("os.chmod", "os.chown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "os.lockf"),
            *("sqlite3.connect", "tempfile.mkstemp", "tempfile.mkdtemp"),
        ),
        "write",
    ),
    **dict.fromkeys(
        (
            *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"),
            *("pty.spawn", "os.kill", "os.killpg", "signal.pthread_kill", "ctypes.dlopen"),
        ),
        "process",
    ),
}


class LawError(PermissionError):
    """Code did what the laws forbid; it was stopped before it happened."""


class Guard:
    """Stops and lists what breaks the laws, from `install` to the end of the process.

    Attributes:
        violations: what was stopped, such as `network: socket.connect`; the first 64.
    """

    def __init__(self, readable: Iterable[Path], report: Callable[[str], None] | None = None) -> None:
        """Allow reading below `readable` and below the libraries; tell `report` of every violation as it happens."""
        self.violations: list[str] = []
        self._roots: list[str] = []
        for path in (*readable, *_libraries()):
            self.allow(path)
        self._report = report

    def install(self) -> None:
        """Begin, for good. Modules are no longer looked for outside the readable places, nor is bytecode cached."""
        sys.dont_write_bytecode = True
        sys.path[:] = [entry for entry in sys.path if self._may_read(entry)]
        sys.addaudithook(self._audit)

    def allow(self, path: Path) -> None:
        """Let one more place be read."""
        self._roots.append(os.path.realpath(path))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            if flags & _WRITING:
                self._stop("write", str(os.fsdecode(path)))
            elif not self._may_read(path):
                self._stop("read", str(os.fsdecode(path)))
        elif event.startswith("socket."):
            self._stop("network", event)
        elif event in _LAW_OF_EVENT:
            law = _LAW_OF_EVENT[event]
            if law != "read":
                self._stop(law, event)
            elif not self._may_read(arguments[0]):
                self._stop(law, str(arguments[0]))

    def _may_read(self, path: Any) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path or "."))
        return any(real == root or real.startswith(root + os.sep) for root in self._roots)

    def _stop(self, law: str, what: str) -> None:
        violation = f"{law}: {ascii(what)[1:-1]}"[:_MAX_TEXT]
        if len(self.violations) < _MAX_LISTED:
            self.violations.append(violation)
            if self._report:
                self._report(violation)
        raise LawError(f"broke a law: {violation}")


def _libraries() -> set[Path]:
    """Where Python, the imported libraries and the trainer lie: a traceback reads their source."""
    paths = sysconfig.get_paths()
    places = {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {Path(__file__).parent}
    for name in ("torch", "numpy", "safetensors"):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin:
            places.add(Path(origin).parent.parent)
    return places
