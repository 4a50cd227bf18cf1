"""What a gate is, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aams.records import Cost, Finding, Run
from safety.contract import Contract


@dataclass(frozen=True, slots=True)
class Proposal:
    """One bundle before it is frozen.

    Attributes:
        corpus: id of the corpus the bundle would carry.
        active_corpus: id of the corpus that is active in the domain.
        parent: id of the spec the children come from; "" for a root.
        head: id of the spec that HEAD names; "" before the first root of a lineage.
        tried: ids of the specs this lineage has trained.
        children: ids of the proposed specs.
        costs: what each spec of `runs` costs, by id.
        runs: the planned trainings, at most `parallel_count` of them at once.
        compute_flops: training FLOPs that each run should take.
    """

    domain: str
    corpus: str
    active_corpus: str
    parent: str
    head: str
    tried: frozenset[str]
    children: tuple[str, ...]
    costs: Mapping[str, Cost]
    runs: tuple[Run, ...]
    compute_flops: int
    parallel_count: int = 1


class Gate(Protocol):
    """One small check. A plain module satisfies it.

    Attributes:
        ID: short name, used in findings.
        PROTECTS: what would be lost without it, one sentence.
        REMEDY: what to do about a finding, one sentence.
    """

    ID: str
    PROTECTS: str
    REMEDY: str

    def check(self, proposal: Proposal, contract: Contract) -> tuple[Finding, ...]:
        """Find what this gate has against the proposal; nothing when it may pass."""
