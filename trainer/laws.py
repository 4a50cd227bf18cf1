"""The laws a model's code lives under, told by the names that the contract gives them.

Takes the places that may be read, stops whatever else Python reports through its audit hook (PEP 578), and lists it:

- read-only-root: something below those places would be written;
- own-directory: anything else would be written, or read (the model has nothing to write: its process's parent does);
- no-network: a socket, a name looked up;
- no-system: a process, a signal, the environment, native code, and whatever could take this guard away;
- bounds: a limit of the process would be moved. Reaching a limit of the budget is `trainer.train`'s to say;
- logged: is its parent's to say, of a process that ends without an outcome (`trainer.runs`).

A tripwire, not a wall: native code can go around it, so lanes also confine the whole process (`aams.confine`). What is
known to report nothing is made to (`trainer.silent`). An audit hook can't be removed, so a guard lives as long as its
process. It uses copies of what it calls, so that a model that replaces them changes nothing, and tells `report` of a
violation before the model goes on: what was told has left the process and can't be taken back.
"""

from __future__ import annotations

import os
import posixpath
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, NoReturn

from trainer import silent

MAX_LISTED = 64
MAX_TEXT = 160

ROOT, OWN, NETWORK, SYSTEM, BOUNDS = "read-only-root", "own-directory", "no-network", "no-system", "bounds"
LOGGED = "logged"

_WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LISTING = frozenset(("os.listdir", "os.scandir", "os.chdir", "glob.glob"))
_WRITING = frozenset(
    (
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
        *("os.mkfifo", "os.mknod"),
        *("os.chmod", "os.chown", "os.chflags", "os.utime", "os.setxattr", "os.removexattr", "os.lockf"),
        *("sqlite3.connect", "sqlite3.connect/handle", "tempfile.mkstemp", "tempfile.mkdtemp"),
    )
)
_LAW_OF_EVENT = {
    **dict.fromkeys(("urllib.Request", "webbrowser.open"), NETWORK),
    **dict.fromkeys(
        (
            *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"),
            *("pty.spawn", "os.kill", "os.killpg", "signal.pthread_kill"),
            *("os.putenv", "os.unsetenv"),
            *("sqlite3.enable_load_extension", "sqlite3.load_extension", "os.add_dll_directory"),
            *("sys.addaudithook", "sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"),
            *("sys.remote_exec", "cpython.PyInterpreterState_New"),
            *("builtins.breakpoint", "builtins.input", "pickle.find_class"),
            *("os.chroot", "os.memfd_create", "os.pidfd_open", "os.openpty", "os.login_tty", "os.posix_openpt"),
            *("os.unshare", "os.setns", "os.setsid", "os.setpgid", "os.setpgrp", "os.tcsetpgrp"),
            *("os.nice", "os.setpriority"),
            *("os.sched_setaffinity", "os.sched_setscheduler", "os.sched_setparam"),
            *("os.setuid", "os.seteuid", "os.setreuid", "os.setresuid", "os.setgid", "os.setegid", "os.setregid"),
            *("os.setresgid", "os.setgroups", "os.initgroups", "signal.pidfd_send_signal"),
        ),
        SYSTEM,
    ),
    **dict.fromkeys(("resource.setrlimit", "resource.prlimit"), BOUNDS),
}
_LAW_OF_FAMILY = {
    **dict.fromkeys(("pwd", "grp", "_posixshmem", "_multiprocessing"), OWN),
    **dict.fromkeys(("syslog", "ctypes", "gc", "time", "torch"), SYSTEM),
    "socket": NETWORK,
}
_BACK_DOORS = frozenset(
    (
        *("_posixsubprocess", "_xxsubinterpreters", "_interpreters", "_testcapi", "_testinternalcapi"),
        *("_dbm", "_gdbm", "nis", "spwd", "posix", "_socket", "_posixshmem", "_multiprocessing"),
    )
)
"""Modules that could start a process or an interpreter that no hook sees, write, or ask somebody; or a second copy of
one whose functions `trainer.silent` has replaced."""
_SEEN = ("CUBLAS_", "CUDA_", "CUDNN_", "LC_", "MKL_", "NVIDIA_", "OMP_", "OPENBLAS_", "PYTORCH_", "TORCH_")
_SEEN_NAMES = ("HOME", "LANG", "PATH", "TMPDIR", "TZ")
"""What a run may know of the environment: the libraries ask for it as they go."""


class LawError(PermissionError):
    """Code did what the laws forbid; it was stopped before it happened."""


class Guard:
    """Stops and lists what breaks the laws, from `install` to the end of the process."""

    def __init__(self, readable: Iterable[Path], report: Callable[[str], None] | None = None) -> None:
        """Allow reading below `readable` and below the libraries; tell `report` of every violation as it happens."""
        self._listed: list[str] = []
        self._roots: list[str] = []
        for path in (*readable, *_libraries()):
            self.allow(path)
        self._report = report

    @property
    def violations(self) -> list[str]:
        """What was stopped, such as `no-network: socket.connect`; the first 64."""
        return list(self._listed)

    def install(self) -> None:
        """Begin, for good.

        Modules are no longer looked for outside the readable places, nor is bytecode cached, and of the environment is
        left what the libraries ask for: reading it makes no event.
        """
        sys.dont_write_bytecode = True
        judge, stop = _judge(self._roots), _stopper(self._listed, self._report)
        sys.path[:] = [entry for entry in sys.path if not judge("os.listdir", (entry,))]
        for name in [name for name in os.environ if not name.startswith(_SEEN) and name not in _SEEN_NAMES]:
            del os.environ[name]

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if found := judge(event, arguments):
                stop(found)

        _close_back_doors(stop)
        silent.speak(audit)
        sys.addaudithook(audit)

    def allow(self, path: Path) -> None:
        """Let one more place be read."""
        self._roots.append(os.path.realpath(path))


def _judge(roots: list[str]) -> Callable[[str, tuple[Any, ...]], str]:
    """Give a function that names what an event breaks, as `law: what`, or "" for nothing."""
    law_of_event, law_of_family = dict(_LAW_OF_EVENT), dict(_LAW_OF_FAMILY)
    listing, writing, back_doors, writing_flags = _LISTING, _WRITING, _BACK_DOORS, _WRITING_FLAGS
    root_law, own_law, system = ROOT, OWN, SYSTEM
    realpath, fsdecode, separator = _own_realpath(), os.fsdecode, os.sep
    paths = (str, bytes, os.PathLike)

    def inside(path: Any) -> bool:
        real = realpath(fsdecode(path or "."))
        return any(real == root or real.startswith(root + separator) for root in roots)

    def told(path: Any) -> str:
        return str(fsdecode(path)) if isinstance(path, paths) else ""

    def judge(event: str, arguments: tuple[Any, ...]) -> str:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return ""
            if flags & writing_flags:
                return f"{root_law if inside(path) else own_law}: write {told(path)}"
            return "" if inside(path) else f"{own_law}: read {told(path)}"
        if event == "import":
            name, library = arguments[:2]
            if name in back_doors:
                return f"{system}: import {name}"
            return f"{system}: load {told(library)}" if library and not inside(library) else ""
        if event in listing:
            path = arguments[0]
            return "" if isinstance(path, int) or inside(path) else f"{own_law}: {event} {told(path)}"
        if event in writing:
            named = [one for one in arguments[:2] if isinstance(one, paths)]
            return f"{root_law if any(map(inside, named)) else own_law}: {event} {' '.join(map(told, named))}"
        if event == "object.__setattr__":
            return f"{system}: {event} {arguments[1]}" if arguments[1] == "__code__" else ""
        law = law_of_event.get(event) or law_of_family.get(event.partition(".")[0])
        return f"{law}: {event}" if law else ""

    return judge


def _stopper(listed: list[str], report: Callable[[str], None] | None) -> Callable[[str], NoReturn]:
    """Give a function that lists a violation, tells of it, and raises."""
    most, longest, error = MAX_LISTED, MAX_TEXT, LawError
    told: list[None] = []

    def stop(found: str) -> NoReturn:
        violation = ascii(found)[1:-1][:longest].rstrip()
        if len(told) < most:
            told.append(None)
            listed.append(violation)
            if report:
                report(violation)
        raise error(f"broke a law: {violation}")

    return stop


def _close_back_doors(stop: Callable[[str], NoReturn]) -> None:
    """Take away the one builtin that starts a process and reports nothing."""

    def refuse(*arguments: object) -> NoReturn:
        stop(f"{SYSTEM}: fork_exec")

    for module in (subprocess, sys.modules.get("_posixsubprocess")):
        for name in ("fork_exec", "_fork_exec"):
            if module is not None and hasattr(module, name):
                setattr(module, name, refuse)


def _own_realpath() -> Callable[[str], str]:
    """`os.path.realpath`, bound to copies of all it calls."""
    own = {**vars(posixpath), "os": SimpleNamespace(**vars(os)), "stat": SimpleNamespace(**vars(stat))}
    for name, value in vars(posixpath).items():
        if isinstance(value, FunctionType):
            own[name] = FunctionType(value.__code__, own, name, value.__defaults__, value.__closure__)
            own[name].__kwdefaults__ = value.__kwdefaults__
    realpath: Callable[[str], str] = own["realpath"]
    return realpath


def _libraries() -> set[Path]:
    """Where Python, the imported libraries and the trainer lie: a traceback reads their source."""
    paths = sysconfig.get_paths()
    places = {Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {Path(__file__).parent}
    for name in ("torch", "numpy", "safetensors"):
        origin = getattr(sys.modules.get(name), "__file__", None)
        if origin:
            places.add(Path(origin).parent.parent)
    return places
