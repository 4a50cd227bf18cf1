"""The state of every lineage: what the ledger adds up to.

Takes the entries in order, gives a `State`. Pure: equal ledgers, equal states. Refuses a history that contradicts
itself (an event out of turn, a generation number twice, a verdict over another champion); never repairs one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from aams.errors import LedgerError, Problem
from aams.records import Entry, Fitness, Outcome
from safety.events import SUCCESSORS, Attempted, Closed, Opened, Trained, Verdict, entry_name, facts_of
from safety.ledger import Recorded

Status = Literal["open", "accepted", "rejected", "abandoned"]


@dataclass(frozen=True, slots=True)
class Champion:
    """An accepted generation: its spec's id, its weights' digest, its released scores, its verdict's entry.

    Attributes:
        directory: its name below `specs/history/<domain>/`.
        voice: mean predictive distribution over the probe, (classes,).
        entry: digest of the verdict that made it champion.
    """

    generation: str
    directory: str
    spec: str
    weights: str
    fitness: Fitness
    voice: tuple[float, ...]
    entry: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One attempt. `parent` is the champion's generation when it was attempted, "" for a root.

    Attributes:
        archive: digest of its hashes.csv; "" without a verdict.
        weights: digest of its run 0; "" when there are none.
    """

    name: str
    directory: str
    cycle: str
    spec: str
    parent: str
    status: Status
    archive: str
    weights: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """One domain's line. A new corpus begins a new line; its generations are counted on.

    Attributes:
        corpus: id of the corpus the present line is trained on; "" before the first root.
        root: the first champion of the present line.
        best_recall: the highest released recall of its champions.
        tried: ids of the specs it has trained to the end or to a failure; one that a budget stopped is not among them.
        generations: every attempt of the domain, oldest first.
        next_generation: the number the next attempt takes.
    """

    corpus: str = ""
    champion: Champion | None = None
    root: Champion | None = None
    best_recall: float = 0.0
    tried: frozenset[str] = frozenset()
    generations: tuple[Generation, ...] = ()
    next_generation: str = "G000"


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle that has not ended: how it began, its last event, and its attempt and verdict when there are."""

    id: str
    domain: str
    opened: Opened
    number: int
    event: str
    generation: str = ""
    verdict: Outcome | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class State:
    """Every lineage by domain, and the cycles that have not ended, by id."""

    lineages: Mapping[str, Lineage] = field(default_factory=dict)
    open_cycles: Mapping[str, Cycle] = field(default_factory=dict)


def fold(ledger: Iterable[Recorded]) -> State:
    """Add up the ledger.

    Raises:
        LedgerError: naming the first entry that contradicts those before it.
    """
    lineages: dict[str, Lineage] = {}
    cycles: dict[str, Cycle] = {}
    for entry, digest in ledger:
        facts = facts_of(entry)
        cycle = _advance(cycles.get(entry.cycle), entry, facts)
        lineage = lineages.get(entry.domain, Lineage())
        match facts:
            case Trained():
                trained = frozenset(run.spec for run in facts.runs if run.status != "stopped")
                lineage = replace(lineage, tried=lineage.tried | trained)
            case Attempted():
                lineage = _attempt(lineage, cycle, entry, facts)
                cycle = replace(cycle, generation=facts.generation)
            case Verdict():
                lineage = _decide(lineage, cycle, entry, digest, facts)
                cycle = replace(cycle, verdict=facts.outcome)
            case Closed():
                lineage = _close(lineage, cycle, entry, facts)
        lineages[entry.domain] = lineage
        cycles[entry.cycle] = cycle
    return State(lineages, {name: cycle for name, cycle in cycles.items() if cycle.event != "closed"})


def _advance(cycle: Cycle | None, entry: Entry, facts: object) -> Cycle:
    last = cycle.event if cycle else ""
    if entry.event not in SUCCESSORS[last]:
        allowed = ", ".join(SUCCESSORS[last]) or "nothing"
        raise _contradiction(entry, "is out of turn", f"{entry.event} after {last or 'nothing'}", f"allowed: {allowed}")
    if isinstance(facts, Opened):
        return Cycle(entry.cycle, entry.domain, facts, entry.number, entry.event)
    if cycle is None or cycle.domain != entry.domain:
        raise _contradiction(entry, "belongs to another domain than its cycle", entry.domain)
    return replace(cycle, number=entry.number, event=entry.event)


def _attempt(lineage: Lineage, cycle: Cycle, entry: Entry, facts: Attempted) -> Lineage:
    _agree(entry, "generation", facts.generation, lineage.next_generation)
    _agree(entry, "parent", cycle.opened.parent, _head(lineage) if cycle.opened.parent else "")
    if cycle.generation:
        raise _contradiction(entry, "is a second attempt of one cycle", facts.generation)
    directory = f"{facts.generation}-{entry.time[:10].replace('-', '')}-{entry.time[11:19].replace(':', '')}"
    attempt = Generation(facts.generation, directory, entry.cycle, facts.spec, cycle.opened.parent, "open", "", "")
    generations = (*lineage.generations, attempt)
    return replace(lineage, generations=generations, next_generation=f"G{len(generations):03d}")


def _decide(lineage: Lineage, cycle: Cycle, entry: Entry, digest: str, facts: Verdict) -> Lineage:
    head = _head(lineage)
    attempt = next((item for item in lineage.generations if item.name == cycle.generation), None)
    if attempt is None:
        raise _contradiction(entry, "is a verdict without an attempt", facts.generation)
    _agree(entry, "generation", facts.generation, attempt.name)
    _agree(entry, "spec", facts.spec, attempt.spec)
    _agree(entry, "head_before", facts.head_before, head)
    _agree(entry, "head_after", facts.head_after, attempt.name if facts.outcome == "accepted" else head)
    lineage = _settle(lineage, replace(attempt, status=facts.outcome, archive=facts.archive, weights=facts.weights))
    if facts.outcome == "rejected":
        return lineage
    _agree(entry, "parent", attempt.parent, head if attempt.parent else "")
    if facts.child is None or not facts.weights:
        raise _contradiction(entry, "accepts a child without scores or weights", facts.generation)
    champion = Champion(attempt.name, attempt.directory, attempt.spec, facts.weights, facts.child, facts.voice, digest)
    if attempt.parent:
        return replace(lineage, champion=champion, best_recall=max(lineage.best_recall, facts.child.recall))
    return replace(
        lineage,
        corpus=cycle.opened.corpus,
        champion=champion,
        root=champion,
        best_recall=facts.child.recall,
        tried=frozenset({attempt.spec}),
    )


def _close(lineage: Lineage, cycle: Cycle, entry: Entry, facts: Closed) -> Lineage:
    decided = facts.outcome if facts.outcome in ("accepted", "rejected") else ""
    if decided != cycle.verdict:
        raise _contradiction(
            entry, "closes otherwise than its verdict", facts.outcome, f"the verdict is {cycle.verdict or 'missing'}"
        )
    for attempt in lineage.generations:
        if attempt.name == cycle.generation and attempt.status == "open":
            lineage = _settle(lineage, replace(attempt, status="abandoned"))
    return lineage


def _settle(lineage: Lineage, settled: Generation) -> Lineage:
    generations = tuple(settled if attempt.name == settled.name else attempt for attempt in lineage.generations)
    return replace(lineage, generations=generations)


def _head(lineage: Lineage) -> str:
    return lineage.champion.generation if lineage.champion else ""


def _agree(entry: Entry, name: str, got: str, wanted: str) -> None:
    if got != wanted:
        raise _contradiction(
            entry, f"contradicts the ledger before it: {name} should be {wanted or 'empty'}", got or "empty"
        )


def _contradiction(entry: Entry, what: str, got: str, advice: str = "") -> LedgerError:
    return LedgerError(Problem(what, got, advice or "restore logs/cycles from Git", entry_name(entry)))
