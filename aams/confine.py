"""How every other process is started that runs generated code: a bare environment, limits, and no network if possible.

Takes a command and the one directory it may write to, gives the command wrapped. Nothing of this process's environment
passes but two names that locate libraries and devices, so no token ever does. Never uses a shell on anybody's text: the
one shell script here is constant and gets the command as arguments.

Limits are set by the shell's `ulimit` before the command starts, so they hold for all its children:

- the largest file, so that a runaway writer can't fill the disk;
- CPU seconds of each process, so that a runaway loop ends even if this process is gone;
- open files, and no core dumps, which could be as large as the memory;
- not address space: torch maps many times what it uses. The trainer caps its memory itself.
- not the number of processes: the system counts those of the user, not of the command.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

Isolation = Literal["bubblewrap", "unshare", "none"]

PASSED_ON = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
NO_HOME = "/nonexistent"
PROBE_S = 5.0
_BLOCK_BYTES = 512
_LIMITED = 'ulimit -c 0 && ulimit -f "$1" && ulimit -t "$2" && ulimit -n "$3" && shift 3 && exec "$@"'


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use."""

    file_bytes: int
    cpu_s: int
    open_files: int = 256


def isolation() -> Isolation:
    """The best isolation from the network that works here, tried once: bubblewrap, unshare, or none."""
    return _probed()[0]


def command(
    argv: Sequence[str], *, writable: Path, limits: Limits, python_path: Sequence[Path] = ()
) -> tuple[list[str], dict[str, str], Isolation]:
    """Wrap a command.

    Args:
        argv: the program, by absolute path, and its arguments.
        writable: an existing private directory, for temporary files too; under bubblewrap nothing else can be written.
        limits: what each of its processes may use.
        python_path: where its Python looks for modules, beside its own.

    Returns:
        What to start, its whole environment, and the isolation in force.
    """
    place = str(writable.absolute())
    environment = {
        "PATH": os.defpath,
        "HOME": NO_HOME,
        "TMPDIR": place,
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(str(path.absolute()) for path in python_path),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
    }
    blocks = -(-limits.file_bytes // _BLOCK_BYTES)
    limited = ["/bin/sh", "-c", _LIMITED, "sh", str(blocks), str(limits.cpu_s), str(limits.open_files)]
    kind, prefix = _probed()
    binding = ["--bind", place, place, "--"] if kind == "bubblewrap" else []
    return [*limited, *prefix, *binding, *argv], environment, kind


def start(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a wrapped command in a process group of its own, so that `stop` reaches all of it."""
    return subprocess.Popen(
        argv,
        env=dict(environment),
        cwd=environment["TMPDIR"],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        process_group=0,
    )


def stop(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """End a command's whole process group: ask first, then insist."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


@functools.cache
def _probed() -> tuple[Isolation, tuple[str, ...]]:
    """Try each way with `true`; a missing one costs nothing, a working one some ten milliseconds."""
    bubblewrap, unshare = shutil.which("bwrap"), shutil.which("unshare")
    ways: list[tuple[Isolation, tuple[str, ...]]] = []
    if bubblewrap:
        sealed = ("--unshare-all", "--die-with-parent")
        files = ("--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc")
        ways.append(("bubblewrap", (bubblewrap, *sealed, *files)))
    if unshare:
        if os.geteuid() == 0:
            ways.append(("unshare", (unshare, "--net", "--")))
        ways.append(("unshare", (unshare, "--map-root-user", "--net", "--")))
    return next((way for way in ways if _works(way[1])), ("none", ()))


def _works(prefix: Sequence[str]) -> bool:
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, timeout=PROBE_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
