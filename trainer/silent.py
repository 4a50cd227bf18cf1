"""What writes, reaches out or takes hold of the system without telling Python's audit hook: from here on it tells.

Takes a function that hears events as the hook does, and puts in the place of each such function one that tells it what
is called. Of most, nothing else is left: no model has a use for them. What writes files goes on if it was not stopped,
as it may write into memory. What only reads a path (`stat`, torch's and safetensors' readers) still tells nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

Hear = Callable[[str, tuple[Any, ...]], None]

_ACTS = (
    ("posix", "os", "mkfifo mknod chroot memfd_create pidfd_open openpty login_tty posix_openpt unshare setns"),
    ("posix", "os", "setsid setpgid setpgrp tcsetpgrp nice setpriority"),
    ("posix", "os", "sched_setaffinity sched_setscheduler sched_setparam"),
    ("posix", "os", "setuid seteuid setreuid setresuid setgid setegid setregid setresgid setgroups initgroups"),
    ("signal", "signal", "pidfd_send_signal"),
    ("time", "time", "clock_settime clock_settime_ns"),
    ("_socket", "socket", "socketpair if_nameindex if_nametoindex if_indextoname getprotobyname"),
    ("pwd", "pwd", "getpwall getpwnam getpwuid"),
    ("grp", "grp", "getgrall getgrnam getgrgid"),
    ("_posixshmem", "_posixshmem", "shm_open shm_unlink"),
    ("_multiprocessing", "_multiprocessing", "SemLock sem_unlink"),
    ("torch._C._distributed_c10d", "socket", "TCPStore ProcessGroupGloo ProcessGroupNCCL ProcessGroupMPI"),
    ("torch.UntypedStorage", "torch", "_share_filename_cpu_"),
)
"""Owner, the first word of the events, and names. The last one starts a process."""
_MAPS = (("torch", "from_file"), ("torch.UntypedStorage", "from_file"))
"""What maps the file that it is given into memory, and writes it if that is to be shared. Safetensors reads so."""
_FILES = (
    ("torch._C", "PyTorchFileWriter _save_jit_module _save_mobile_module _save_parameters"),
    ("torch._C.ScriptModule", "save _save_for_mobile"),
    ("torch._C.ScriptFunction", "save"),
    ("torch._C._autograd._ProfilerResult", "save"),
    ("torch._C._distributed_c10d", "FileStore"),
    ("safetensors._safetensors_rust", "serialize_file"),
)
"""What opens the file that it is given for writing."""
_STANDARD = (
    "signal",
    "time",
    "_socket",
    "pwd",
    "grp",
    "_posixshmem",
    "_multiprocessing",
    "multiprocessing.synchronize",
)
"""Of Python's own, what is imported first: what is imported later would be the original, or miss it."""
_COPIES = ("os", "socket", "safetensors", "torch.distributed")
"""Modules, with those below them, that have some of these under a name of their own."""


def speak(hear: Hear) -> None:
    """Have every one of them tell what it is called for, for good."""
    for name in _STANDARD:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    makers: list[tuple[str, str, Callable[[str, Any], object]]] = [
        *((owner, names, partial(_act, hear, family)) for owner, family, names in _ACTS),
        *((owner, names, partial(_map, hear)) for owner, names in _MAPS),
        *((owner, names, partial(_file, hear)) for owner, names in _FILES),
    ]
    loud: dict[int, tuple[object, object]] = {}
    for owner, names, make in makers:
        for place, name, original in _found(owner, names):
            loud[id(original)] = original, make(name, original)
            setattr(place, name, loud[id(original)][1])
    for module in [one for name, one in list(sys.modules.items()) if _begins(name)]:
        for name, value in list(vars(module).items()):
            if id(value) in loud and loud[id(value)][0] is value:
                setattr(module, name, loud[id(value)][1])


def _found(owner: str, names: str) -> Iterator[tuple[Any, str, Any]]:
    """The functions of an owner that there are here, with where they lie."""
    place: Any = sys.modules.get(owner)
    if place is None and owner not in sys.modules:
        module, _, inside = owner.rpartition(".")
        place = getattr(sys.modules.get(module), inside, None)
    for name in names.split():
        if hasattr(place, name):
            yield place, name, getattr(place, name)


def _begins(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in _COPIES)


def _act(hear: Hear, family: str, name: str, _: object) -> Callable[..., None]:
    event = f"{family}.{name}"

    def tell(*arguments: object, **named: object) -> None:
        hear(event, (*arguments, *named.values()))
        raise PermissionError(event)

    return tell


def _file(hear: Hear, _: str, original: Callable[..., Any]) -> Callable[..., Any]:
    paths, flags = (str, bytes, os.PathLike), os.O_WRONLY | os.O_CREAT

    def tell(*arguments: Any, **named: Any) -> Any:
        for path in (*arguments, *named.values()):
            if isinstance(path, paths):
                hear("open", (path, None, flags))
        return original(*arguments, **named)

    return tell


def _map(hear: Hear, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    write = _file(hear, name, original)

    def tell(filename: Any, shared: Any = False, *arguments: Any, **named: Any) -> Any:
        return (write if shared else original)(filename, shared, *arguments, **named)

    return tell
