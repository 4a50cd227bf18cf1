"""The lanes: where bundles are trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from aams.lanes.base import Handle, Lane, LaneBusyError, Quota, Report, Standing, Status, put_aside, train
from aams.lanes.kaggle import Kaggle
from aams.lanes.local import Local
from aams.lanes.ray import Ray
from aams.lanes.runner import Runner
from safety.contract import Contract

__all__ = ["LANES", "Handle", "Lane", "LaneBusyError", "Quota", "Report", "Standing", "Status", "put_aside", "train"]

LANES: Mapping[str, Callable[[Path, Contract], Lane]] = MappingProxyType(
    {Local.NAME: Local, Kaggle.NAME: Kaggle, Runner.NAME: Runner, Ray.NAME: Ray}
)
"""Each makes a lane from the folder that one dispatch may use here, and the contract."""
