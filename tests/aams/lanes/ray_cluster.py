"""A real Ray cluster on this machine whose nodes can be killed: one process group each, as `ray start` makes them."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

LOOPBACK = "127.0.0.2"
"""Ray replaces 127.0.0.1 by an address that others reach."""
START_S = 120.0


def why_not() -> str:
    """Why no cluster can be started here, or ""."""
    return "" if importlib.util.find_spec("ray") else "Ray is not installed: requirements/ray.lock"


class RayCluster:
    """Raylets of one or more CPUs each; the first is the head, which can't be lost. Each has a TMPDIR `node-N`."""

    def __init__(self, *cpus: int) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        self._token = secrets.token_hex(32)
        self.address = f"{LOOPBACK}:{_free_port()}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        try:
            for count in cpus:
                self._add(count)
        except BaseException:
            self.close()
            raise

    def environment(self) -> dict[str, str]:
        """What reaches it."""
        return {"AAMS_RAY_ADDRESS": self.address, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token}

    def lose(self, number: int) -> None:
        """Kill a node with all its workers."""
        node = self._nodes[number]
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def _add(self, cpus: int) -> None:
        port = self.address.rpartition(":")[2]
        role = ["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={self.place}"]
        if self._nodes:
            role = [f"--address={self.address}"]
        limits = [f"--num-cpus={cpus}", "--object-store-memory=100000000", f"--node-ip-address={LOOPBACK}"]
        limits += ["--block", "--disable-usage-stats"]
        argv = [sys.executable, "-m", "ray.scripts.scripts", "start", *role, *limits]
        own = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        home = self.place / f"node-{len(self._nodes)}"
        home.mkdir()
        own |= {"HOME": str(home), "TMPDIR": str(home), **self.environment()}
        log = home / "log"
        with log.open("wb") as said:
            node = subprocess.Popen(argv, env=own, stdout=said, stderr=said, cwd=self.place, process_group=0)
        self._nodes.append(node)
        deadline = time.monotonic() + START_S
        while b"Ray runtime started" not in log.read_bytes():
            if node.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no node has started: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def close(self) -> None:
        """End every node."""
        for node in reversed(self._nodes):
            if node.poll() is None:
                os.killpg(node.pid, signal.SIGKILL)
                node.wait()
        shutil.rmtree(self.place, ignore_errors=True)

    def __enter__(self) -> RayCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        return int(found.getsockname()[1])
