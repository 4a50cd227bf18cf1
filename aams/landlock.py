"""Linux's Landlock as a launcher: `python -I -S landlock.py DIRECTORY -- PROGRAM ARGUMENTS`.

Takes a directory and a command by absolute path, restricts itself for good, then becomes the command, so that it holds
for all of the command's children too. Needs no privilege and nothing but Python: `aams.confine` starts it by path, and
it imports nothing of AAMS. Never starts the command unrestricted: whatever fails ends with status 1 and a sentence.

After it (https://docs.kernel.org/userspace-api/landlock.html):

- files are written, made, removed, renamed and truncated below the directory only, apart from harmless devices and
  those of an accelerator; no device is sent control calls but these;
- no TCP port is bound or connected to; from ABI 6 on neither abstract sockets nor processes outside are reached.

What Landlock does not know stays allowed: reading, UDP, sockets with a path, changes of a file's mode, owner or times.
"""

from __future__ import annotations

import ctypes
import glob
import os
import stat
import sys

# Equal on every architecture that Linux has it for, but alpha; a wrong number is a call that fails.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

ABI_MIN = 4
"""Linux 6.7: earlier ones don't restrict truncation (3) or TCP (4)."""

_WRITE_FILE = 1 << 1
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_IOCTL_DEV = 1 << 15  # from ABI 5
_TCP = 1 << 0 | 1 << 1  # bind, connect
_SCOPES = 1 << 0 | 1 << 1  # abstract sockets, signals; from ABI 6

_OWN = _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _MAKE_FIFO | _MAKE_SYM | _REFER
_HANDLED = _OWN | _MAKE_CHAR | _MAKE_SOCK | _MAKE_BLOCK
_DEVICE = _WRITE_FILE | _TRUNCATE
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ACCELERATORS = ("/dev/nvidia*", "/dev/dri/*", "/dev/kfd")


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`: forbidden is what no rule allows. Older kernels take zeros at its end."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`, packed: what is allowed below an open path."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(writable: str) -> None:
    """Restrict this thread and what it becomes, for good.

    Raises:
        OSError: this kernel can't, or not enough of it.
    """
    abi = _call(_CREATE_RULESET, None, 0, _VERSION)
    if abi < ABI_MIN:
        raise OSError(f"the kernel has version {abi} of it, {ABI_MIN} is needed")
    control = _IOCTL_DEV if abi >= 5 else 0
    attributes = _Ruleset(_HANDLED | control, _TCP, _SCOPES if abi >= 6 else 0)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    _allow(ruleset, writable, _OWN)
    accelerators = [path for pattern in _ACCELERATORS for path in glob.glob(pattern)]  # noqa: PTH207, starts in 2 ms less
    for path in (*_DEVICES, *accelerators):
        if os.path.exists(path):  # noqa: PTH110
            _allow(ruleset, path, _DEVICE | control)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, *(ctypes.c_ulong(number) for number in (1, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), "no_new_privs can't be set")
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    """Allow rights on a path and everything below it."""
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _DEVICE | _IOCTL_DEV  # the kernel refuses a directory's rights on a file
        rule = _PathBeneath(rights, parent)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    """A system call that libc has no name for."""
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(syscall(ctypes.c_long(number), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def main() -> int:
    """Restrict, then become the command; returns only when that failed."""
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        print("usage: landlock.py DIRECTORY -- PROGRAM ARGUMENTS", file=sys.stderr)
        return 2
    try:
        if sys.platform != "linux":
            raise OSError("this is not Linux")
        restrict(sys.argv[1])
        os.execv(sys.argv[3], sys.argv[3:])  # noqa: S606, whose command it is has confined it
    except OSError as error:
        print(f"landlock: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
