"""Memory of this process: kept between steps, capped by the budget, and measured.

Takes and gives bytes. Knows Linux best; elsewhere it does less, and never fails for it.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

import torch

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_GIB = 2**30


def keep() -> None:
    """Have glibc keep what it was given: it would hand activations back after every step and fault them in again.

    That was 6 % of a training step of a 4 x 128 transformer on 4,096 tokens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_THRESHOLD, _GIB)
        mallopt(_M_TRIM_THRESHOLD, _GIB)


def cap(limit_bytes: int) -> None:
    """Refuse allocations beyond a limit at once, before the kernel ends somebody else's process for them.

    Counts private writable memory, not address space, of which torch maps much more than it uses.
    """
    if sys.platform != "linux":
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5])
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = pages * resource.getpagesize() + limit_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def peak(device: torch.device) -> int:
    """The most held so far, in bytes: on an accelerator of the accelerator's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
