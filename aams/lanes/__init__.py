"""The lanes: where bundles are trained."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aams.lanes import local
from aams.lanes.base import Lane, Report, Returned

__all__ = ["LANES", "Lane", "Report", "Returned"]

LANES: Mapping[str, Lane] = MappingProxyType({local.NAME: local})
