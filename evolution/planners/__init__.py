"""Who proposes children: the planners by name. Adding one is one module and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evolution.planners import mutate_champion, random_spec
from evolution.planners.base import Planner

PLANNERS: Mapping[str, Planner] = MappingProxyType({"mutate-champion": mutate_champion, "random-spec": random_spec})
