"""What a gate is, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aams.records import Cost, Finding, Run
from safety.contract import Contract


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is about to be frozen.

    Attributes:
        corpus: id of the corpus the bundle would carry.
        source: where that corpus is read from, as the whitelist says.
        active_corpus: id of the corpus that is active in the domain.
        parent: id of the spec the children come from; "" for a root.
        head: id of the spec that HEAD names; "" before the first root of a lineage.
        tried: ids of the specs this lineage has trained.
        children: ids of the proposed specs.
        costs: what each spec of `runs` costs, by id.
        runs: the planned trainings, at most `parallel_count` of them at once.
        compute_flops: training FLOPs that each run should take.
        damaged: what is wrong with the parent's archive, "" when it is as the ledger has it and read-only.
        month_flops_left: training FLOPs of the month that nothing has used or reserved.
    """

    domain: str
    corpus: str
    source: str
    active_corpus: str
    parent: str
    head: str
    tried: frozenset[str]
    children: tuple[str, ...]
    costs: Mapping[str, Cost]
    runs: tuple[Run, ...]
    compute_flops: int
    month_flops_left: int
    damaged: str = ""
    parallel_count: int = 1


@dataclass(frozen=True, slots=True)
class Promotion:
    """One generation before HEAD moves to it.

    Attributes:
        proposers: fingerprints of the keys that signed what it was trained under; "" for what nobody signed.
        approver: fingerprint of the key that approves it.
        damaged: of it and of the champion it replaces, those whose archive is not as the ledger has it, and why.
    """

    generation: str
    proposers: tuple[str, ...]
    approver: str
    damaged: tuple[tuple[str, str], ...]


S = TypeVar("S", contravariant=True)


class Gate(Protocol[S]):
    """One small check of a `Proposal` or a `Promotion`. A plain module satisfies it.

    Attributes:
        ID: short name, used in findings.
        PROTECTS: what would be lost without it, one sentence.
        REMEDY: what to do about a finding, one sentence.
    """

    ID: str
    PROTECTS: str
    REMEDY: str

    def check(self, subject: S, contract: Contract, /) -> tuple[Finding, ...]:
        """Find what this gate has against it; nothing when it may pass."""
