"""Forked processes that speak to this one through a pipe in JSON: one for each thing that runs generated code.

Takes tasks, gives processes. They are forked from one that has torch imported and has never run a model, so that each
starts in milliseconds and none can harm another.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import torch

MESSAGE_BYTES = 1 << 20
MESSAGE_S = 10.0
"""How long one message may take from its first byte to its last: it is written by a single call."""
_PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""
_FORK = multiprocessing.get_context("fork")


class Child:
    """A forked process and this end of its pipe."""

    def __init__(self, task: Callable[[Connection], None]) -> None:
        self.pipe, theirs = _FORK.Pipe(duplex=False)
        self.process = _FORK.Process(target=_live, args=(task, theirs, os.getpid()), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self, most: int = MESSAGE_BYTES) -> Any:
        """Take one message, waiting for it."""
        return json.loads(self.take_bytes(most))

    def take_bytes(self, most: int) -> bytes:
        """Take the bytes of one message, waiting for its first; the others must follow within `MESSAGE_S`.

        `Connection.recv_bytes` would wait for ever for a message of which a process sends half.

        Raises:
            EOFError: the process ended.
            OSError: the message is longer than `most`, or stopped in the middle.
        """
        self.pipe.poll(None)
        until = time.monotonic() + MESSAGE_S
        size = int.from_bytes(self._read(4, until), "big", signed=True)
        if size == -1:  # too long for its first four bytes, which are followed by eight then
            size = int.from_bytes(self._read(8, until), "big")
        if not 0 <= size <= most:
            raise OSError(f"a message of {size} bytes")
        return self._read(size, until)

    def _read(self, count: int, until: float) -> bytes:
        content = bytearray()
        while len(content) < count:
            if not self.pipe.poll(max(0.0, until - time.monotonic())):
                raise TimeoutError
            part = os.read(self.pipe.fileno(), min(count - len(content), 1 << 20))
            if not part:
                raise EOFError
            content += part
        return bytes(content)

    def close(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _live(task: Callable[[Connection], None], pipe: Connection, parent: int) -> None:
    """The life of a forked process: its parent alone decides when it is interrupted, and what is printed."""
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    task(pipe)


def _die_with(parent: int) -> None:
    """End when the parent is killed: siblings hold the ends of each other's pipes, so that none would notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def send(pipe: Connection, message: Mapping[str, Any]) -> None:
    """Send one message."""
    pipe.send_bytes(json.dumps(message, allow_nan=False).encode())


def death(status: int | None) -> str:
    """How a process ended that sent less than it should have."""
    if status is None:
        return "the process sent what is not a message"
    if status >= 0:
        return f"the process ended with status {status}"
    advice = ", perhaps out of memory" if -status == signal.SIGKILL else ""
    return f"the process was ended by {signal.Signals(-status).name}{advice}"
