"""The door to Ray: one session, in a process that holds no credential of AAMS: `ray_door ARCHIVE OUT`.

Takes a bundle's archive and a folder; gives progress as JSON lines on stdout and the trainer's files in the folder,
where another try goes on. What workers send is unpickled here, and written down as bytes of expected names; nothing of
it is run. What failed is one sentence on stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aams.lanes.ray import ADDRESS
from aams.lanes.ray_session import Session, SessionError

KNOCK_S = 10.0
LOOPBACK = "127.0.0.2"
"""Ray replaces 127.0.0.1 by an address that others reach."""


def main() -> int:
    """Train a bundle."""
    parser = argparse.ArgumentParser(prog="ray_door")
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint-s", type=float, required=True)
    parser.add_argument("--workers", type=int, required=True, help="of a cluster that is started here")
    options = parser.parse_args()
    _listen_for_signals()
    said = ""
    try:
        with _cluster(os.environ.get(ADDRESS, ""), options.workers):
            Session(options.archive, options.out, options.checkpoint_s).run()
    except SessionError as failure:
        said = str(failure)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    if said:  # last, after all that Ray has to say
        print(" ".join(said.split())[:600], file=sys.stderr, flush=True)
    return 1 if said else 0


def _listen_for_signals() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


@contextlib.contextmanager
def _cluster(address: str, workers: int) -> Iterator[None]:
    """Be a driver of a cluster, or of one that is started here and that nobody else can use."""
    with tempfile.TemporaryDirectory(prefix="aams-ray-", dir="/tmp", ignore_cleanup_errors=True) as place:
        own: dict[str, Any] = {}
        if address:
            _knock(address)
        else:
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            own = {"num_cpus": workers, "include_dashboard": False, "_temp_dir": place}
            own |= {"_node_ip_address": LOOPBACK} if sys.platform == "linux" else {}
        import ray  # reads the environment once

        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
        ray.init(address=address or "local", **own, **quiet)
        _listen_for_signals()  # again: Ray has its own way
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """See that somebody answers: Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), KNOCK_S):
            pass
    except (OSError, ValueError) as error:
        raise SessionError(f"no cluster answers at {ADDRESS}, {address}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
