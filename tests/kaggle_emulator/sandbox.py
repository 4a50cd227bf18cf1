"""A machine like Kaggle's for one session: /kaggle/input to read, /kaggle/working to write, no network, no others.

Bubblewrap builds it from this machine's own files, read-only, so that a session has the Python and the torch of the
tests. It needs no root. Kaggle's image, its libraries and its accelerators are not emulated.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OWN = ("dev", "kaggle", "proc", "sys", "tmp")
"""What a session has of its own below /; all else is this machine's."""


@functools.cache
def why_not() -> str:
    """Why no session can run here; "" where one can."""
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        return "bubblewrap is not installed: sessions need /kaggle of their own"
    trial = [*_words(bubblewrap), "--dir", "/kaggle/working", "--", sys.executable, "-c", "import sys"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    return f"bubblewrap can't build a session here: {done.stderr.strip()[:200]}" if done.returncode else ""


def command(session: Path, kind: str) -> list[str]:
    """What starts a session.

    Args:
        session: its folder, with input/, working/ and the pushed text in src/.
        kind: "script", or "notebook", whose cells are run in order by `notebook.py`.
    """
    binds = ["--bind", str(session / "working"), "/kaggle/working"]
    binds += ["--ro-bind", str(session / "input"), "/kaggle/input", "--ro-bind", str(session / "src"), "/kaggle/src"]
    run = [sys.executable, "/kaggle/src/script.py"]
    if kind == "notebook":
        binds += ["--ro-bind", str(HERE / "notebook.py"), "/kaggle/lib/notebook.py"]
        run = [sys.executable, "/kaggle/lib/notebook.py", "/kaggle/working/__notebook__.ipynb"]
    return [*_words(shutil.which("bwrap") or "bwrap"), *binds, "--chdir", "/kaggle/working", "--", *run]


def environment() -> dict[str, str]:
    """What a session finds; nothing of the tests' own environment.

    https://github.com/Kaggle/docker-python/blob/main/Dockerfile.tmpl
    """
    return {
        "PATH": os.defpath,
        "HOME": "/tmp",  # noqa: S108 its own
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
        "KAGGLE_URL_BASE": "https://www.kaggle.com",
        "KAGGLE_USER_SECRETS_TOKEN": "a-secret-of-the-session",
    }


def _words(bubblewrap: str) -> list[str]:
    words = [bubblewrap, "--unshare-all", "--die-with-parent", "--clearenv"]
    for name, value in environment().items():
        words += ["--setenv", name, value]
    for entry in sorted(Path("/").iterdir()):
        if entry.is_symlink():
            words += ["--symlink", str(entry.readlink()), str(entry)]
        elif entry.name not in OWN:
            words += ["--ro-bind", str(entry), str(entry)]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 its own
    for place in sorted({sys.prefix, sys.base_prefix}):
        if place.startswith("/tmp/"):  # noqa: S108 where the tests' Python may lie
            words += ["--ro-bind", place, place]
    return words
