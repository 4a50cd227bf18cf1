"""A lineage: one domain's generations, its champion, and the counters that its levels and its rest come from.

Records without behaviour, and what is asked of them. What they add up to from the ledger is `safety.state`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from aams.records import Entry, Fitness, Look, Outcome
from safety.events import Ending
from safety.lifecycle import contradiction

Status = Literal["open", "accepted", "rejected", "placebo", "declined", "abandoned"]


@dataclass(frozen=True, slots=True)
class Champion:
    """An approved generation: its spec's id, its weights' digest, its released scores, the entry that decided it.

    Attributes:
        directory: its name below `specs/history/<domain>/`.
        voice: mean predictive distribution over the probe, (classes,).
        entry: digest of the verdict, or of the recall, that an approval made it champion by.
        since: when that was, UTC.
    """

    generation: str
    directory: str
    spec: str
    weights: str
    fitness: Fitness
    voice: tuple[float, ...]
    entry: str
    since: str


@dataclass(frozen=True, slots=True)
class Generation:
    """One attempt. `parent` is the champion's generation when it was attempted, "" for a root.

    Attributes:
        hypothesis: which attempt of its line it is, from 1; 0 for a root.
        spec: id of what was attempted; "" before the verdict.
        verdict: the arbiter's; "" without one.
        archive: digest of its hashes.csv; "" without a verdict.
        weights: digest of its run 0; "" when there are none.
        fitness: the child's released scores; None when it was not scored.
        voice: (classes,), empty when it was not scored.
    """

    name: str
    directory: str
    cycle: str
    parent: str
    status: Status
    hypothesis: int = 0
    spec: str = ""
    verdict: Outcome | Literal[""] = ""
    archive: str = ""
    weights: str = ""
    fitness: Fitness | None = None
    voice: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Spent:
    """What the attempts on a corpus that was left came to; the fields are those of `Lineage`."""

    attempts: int = 0
    discoveries: int = 0
    alpha_spent: float = 0.0


@dataclass(frozen=True, slots=True)
class Lineage:
    """One domain's line. A new corpus begins a new line; its generations are counted on.

    Attributes:
        corpus: id of the corpus the present line is trained on; "" before the first root.
        root: the first champion of the present line.
        best_recall: the highest released recall of its champions.
        tried: ids of the specs it has trained to the end, to a failure, or to a rung that dropped them; one that a
            budget stopped is not among them.
        generations: every attempt of the domain, oldest first.
        next_generation: the number the next attempt takes.
        attempts, discoveries: hypotheses on the present corpus, and those the arbiter accepted, placebos included.
        alpha_spent: sum of the levels of the attempts on the present corpus that were looked at; it never falls.
        spent: what attempts came to on each corpus that was left: a line that comes back to one goes on counting.
        placebos, false_promotions: placebos that were revealed in the domain, and those the arbiter had accepted.
        trials: children of the champion that finished their trial since it was promoted, or were dropped at a rung.
        predictions: predicted and estimated gain of each child judged since the last promotion.
        retested: when the champion was last trained against its predecessor again, UTC; "" when it never was.
        retest: what came of it: its gain is the champion's over its predecessor.
        outdone: the champion lost its re-challenge, and nobody has decided about that yet.
        ended: how the last cycle ended; "" before the first.
    """

    corpus: str = ""
    champion: Champion | None = None
    root: Champion | None = None
    best_recall: float = 0.0
    tried: frozenset[str] = frozenset()
    generations: tuple[Generation, ...] = ()
    next_generation: str = "G000"
    attempts: int = 0
    discoveries: int = 0
    alpha_spent: float = 0.0
    spent: Mapping[str, Spent] = field(default_factory=dict)
    placebos: int = 0
    false_promotions: int = 0
    trials: int = 0
    predictions: tuple[tuple[float, float], ...] = ()
    retested: str = ""
    retest: Look | None = None
    outdone: bool = False
    ended: Ending | Literal[""] = ""


def find(lineage: Lineage, entry: Entry, name: str, status: Status) -> Generation:
    """The generation that an entry names.

    Raises:
        LedgerError: there is none of this name and status.
    """
    for attempt in lineage.generations:
        if attempt.name == name and attempt.status == status:
            return attempt
    raise contradiction(entry, f"names a generation that is not {status}", name)


def is_of_present_line(lineage: Lineage, attempt: Generation) -> bool:
    """Whether an attempt descends from the present root: a cycle may outlive the line that it was opened in."""
    parents = {other.name: other.parent for other in lineage.generations}
    origin = attempt.name
    while parents[origin]:
        origin = parents[origin]
    return lineage.root is not None and origin == lineage.root.generation


def settle(lineage: Lineage, settled: Generation) -> Lineage:
    """The lineage with one generation as it is now."""
    generations = tuple(settled if attempt.name == settled.name else attempt for attempt in lineage.generations)
    return replace(lineage, generations=generations)


def predecessor(lineage: Lineage) -> Generation | None:
    """The champion that the present one replaced; None for a root."""
    named = next((one.parent for one in lineage.generations if one.name == head_of(lineage)), "")
    return next((one for one in lineage.generations if one.name == named), None)


def head_of(lineage: Lineage) -> str:
    """The champion's generation, "" without one."""
    return lineage.champion.generation if lineage.champion else ""
