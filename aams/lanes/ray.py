"""The Ray lane: a bundle is trained on the nodes of a Ray cluster, run by run and rung by rung.

`AAMS_RAY_ADDRESS` names a cluster that this machine is a node of; without it, one is started on this machine alone, and
ends with the session. The session is a process of its own, `aams.lanes.ray_door`: Ray unpickles whatever its workers
send, so that only a process without credentials speaks to it, and what it brings comes here as files, believed by
nobody yet. Nodes have Python, torch and AAMS with everything pinned as here (`requirements/ray.lock`); what a node
trains in is part of the results, and a node of another kind is not used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from aams import confine
from aams.errors import LaneError, Problem
from aams.lanes.child import Child
from aams.lanes.local import PARALLEL_RUNS

HERE = Path(__file__).parents[2]
ADDRESS = "AAMS_RAY_ADDRESS"
ROUTE = (
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_TLS_CA_CERT",
    "RAY_TLS_SERVER_CERT",
    "RAY_TLS_SERVER_KEY",
    "RAY_USE_TLS",
)
"""How a cluster knows its own."""


class Ray(Child):
    """The session of one dispatch, whose child is the door to Ray."""

    NAME: ClassVar[str] = "ray"
    WORKERS: ClassVar[int] = PARALLEL_RUNS
    """Of a cluster that is started here."""
    CHECKPOINT_S: ClassVar[float] = 60.0
    """Between two checkpoints of a run: what a lost node can cost."""

    def command(self, bundle: Path, out: Path) -> tuple[list[str], Mapping[str, str]]:
        """The door, with an environment that says where the cluster is and nothing else.

        Raises:
            LaneError: Ray is not installed.
        """
        if find_spec("ray") is None:
            raise LaneError(
                Problem("Ray is not installed", advice="pip install --require-hashes -r requirements/ray.lock")
            )
        argv = [sys.executable, "-P", "-s", "-m", "aams.lanes.ray_door", str(bundle.absolute()), str(out.absolute())]
        named = {name: os.environ[name] for name in (ADDRESS, *ROUTE, *confine.PASSED_ON) if name in os.environ}
        own = {
            "PATH": os.defpath,
            "HOME": confine.NO_HOME,
            "TMPDIR": str(self._place.absolute()),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(HERE),
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        return [*argv, "--checkpoint-s", str(self.CHECKPOINT_S), "--workers", str(self.WORKERS)], {**named, **own}
