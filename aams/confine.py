"""How every other process is started that runs generated code: a bare environment, limits, and isolation that works.

Takes a command and the one directory it may write to, gives the command wrapped. Nothing of this process's environment
passes but two names that locate libraries and devices, so no token ever does. Never uses a shell on anybody's text: the
shell scripts here are constant and get the command as arguments.

Isolation, the strongest first; the first one is taken that is accepted and, once tried, works:

- bubblewrap: no network, no other processes, and nothing can be written but the directory and the devices;
- landlock+unshare: both of the following, which leaves no network and one directory to write to;
- landlock: nothing is written but below the directory, and TCP is refused; `aams.landlock` says what it leaves open;
- unshare: no network; files are as for any process of the user;
- none: only what follows.

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
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, get_args

from aams.errors import LaneError, Problem

Isolation = Literal["bubblewrap", "landlock+unshare", "landlock", "unshare", "none"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)
LANDLOCK = Path(__file__).with_name("landlock.py")

PASSED_ON = ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
NO_HOME = "/nonexistent"
PROBE_S = 5.0
_BLOCK_BYTES = 512
_PLACE = "{the directory}"
_TRIAL = 'echo x >"$1/inside" || exit 1; echo x >"$1/../outside"; exit 0'
_LIMITED = 'ulimit -c 0 && ulimit -f "$1" && ulimit -t "$2" && ulimit -n "$3" && shift 3 && exec "$@"'


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process may use."""

    file_bytes: int
    cpu_s: int
    open_files: int = 256


def isolation(accepted: Collection[str] = ISOLATIONS) -> Isolation:
    """The strongest accepted isolation that works here; each is tried once.

    Raises:
        LaneError: this machine can give none of them.
    """
    for kind in ISOLATIONS:
        if kind in accepted and _way(kind) is not None:
            return kind
    advice = "install bubblewrap, free space for temporary files, or let a person change the contract"
    raise LaneError(Problem("this machine can't confine as the contract wants", ", ".join(accepted), advice))


def command(
    argv: Sequence[str],
    *,
    writable: Path,
    limits: Limits,
    python_path: Sequence[Path] = (),
    accepted: Collection[str] = ISOLATIONS,
) -> tuple[list[str], dict[str, str], Isolation]:
    """Wrap a command.

    Args:
        argv: the program, by absolute path, and its arguments.
        writable: an existing private directory, for temporary files too; under bubblewrap and landlock nothing else can
            be written.
        limits: what each of its processes may use.
        python_path: where its Python looks for modules, beside its own.
        accepted: of `ISOLATIONS`, those that will do.

    Returns:
        What to start, its whole environment, and the isolation in force.

    Raises:
        LaneError: this machine can give no accepted isolation.
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
    kind = isolation(accepted)
    return [*limited, *_placed(_way(kind) or (), place), *argv], environment, kind


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
def _way(kind: Isolation) -> tuple[str, ...] | None:
    """The words before a command that give an isolation, or None where it does not work."""
    return next((words for words in _ways(kind) if _works(kind, words)), None)


def _ways(kind: Isolation) -> Iterator[tuple[str, ...]]:
    """What may give an isolation; `_PLACE` stands for the directory. What is not installed is left out."""
    if kind == "none":
        yield ()
    elif kind == "bubblewrap":
        if bubblewrap := shutil.which("bwrap"):
            sealed = ("--unshare-all", "--die-with-parent")
            files = ("--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", "--bind", _PLACE, _PLACE)
            yield (bubblewrap, *sealed, *files, "--")
    elif kind == "unshare":
        if unshare := shutil.which("unshare"):
            if os.geteuid() == 0:
                yield (unshare, "--net", "--")
            yield (unshare, "--map-root-user", "--net", "--")
    elif kind == "landlock":
        if sys.platform == "linux":
            yield (sys.executable, "-I", "-S", str(LANDLOCK), _PLACE, "--")
    else:  # Landlock last: it leaves no way to set up what unshare needs
        outer, inner = _way("unshare"), _way("landlock")
        if outer is not None and inner is not None:
            yield (*outer, *inner)


def _placed(words: Sequence[str], place: str) -> list[str]:
    return [place if word == _PLACE else word for word in words]


def _works(kind: Isolation, words: Sequence[str]) -> bool:
    """Try to write inside the directory and outside; costs some ten milliseconds.

    Where nothing can be written inside, on a full disk say, not even "none" works: no weaker one is taken for that.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="aams-trial-", ignore_cleanup_errors=True) as base:
            own = Path(base, "own")
            own.mkdir()
            trial = [*_placed(words, str(own)), "/bin/sh", "-c", _TRIAL, "sh", str(own)]
            done = subprocess.run(trial, capture_output=True, timeout=PROBE_S).returncode == 0
            escaped = Path(base, "outside").exists()
            return done and (own / "inside").exists() and (kind in ("unshare", "none") or not escaped)
    except (OSError, subprocess.TimeoutExpired):
        return False
