"""The events of the ledger and what each one says: the closed vocabulary of AAMS's history.

Records only. `EVENTS` names them; `SUCCESSORS` says which may come next in a cycle. A usual cycle is opened, proposed,
frozen, trained, screened, attempted, frozen, trained, verdict, closed; a root, the first of a lineage, is opened,
frozen, trained, attempted, verdict, closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from aams.canonical import from_data, to_data
from aams.errors import LedgerError, Problem
from aams.records import Arm, Cost, Criterion, Entry, Finding, Fitness, Mutation, Outcome, Pair, Stage

Ending = Literal["accepted", "rejected", "screened-out", "nothing-to-try", "abandoned"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A cycle began. `parent` is the champion's generation; "" begins a lineage of `corpus` with a root.

    Attributes:
        request: digest of all that was asked for, so that only the same command goes on with an interrupted cycle.
        commit: the Git commit that was checked out; "" outside of Git.
    """

    seed: int
    planner: str
    trigger: str
    parent: str
    corpus: str
    request: str
    commit: str


@dataclass(frozen=True, slots=True)
class ProposedChild:
    """A child that the gates let pass: `spec` is its id, `text` the whole of it as YAML."""

    spec: str
    text: str
    mutations: tuple[Mutation, ...]
    rationale: str
    predicted_effect: float
    cost: Cost


@dataclass(frozen=True, slots=True)
class Refusal:
    """A child that the gates refused."""

    spec: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Proposed:
    """The planner answered and the gates were asked."""

    children: tuple[ProposedChild, ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A manifest was frozen, and its single-use nonce issued."""

    stage: Stage
    manifest: str
    nonce: str
    runs: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One training as it was reported; accuracy and bits are those on validation, None when it did not finish."""

    name: str
    arm: Arm
    pair: int
    spec: str
    status: str
    reason: str
    steps: int
    items: int
    accuracy: float | None
    bits: float | None


@dataclass(frozen=True, slots=True)
class Trained:
    """Results came back and were bound to their manifest.

    Attributes:
        results: digest of results.json.
        weights: digest of each finished run's weights, by run name.
        isolation: what confined the trainer.
    """

    stage: Stage
    results: str
    runs: tuple[RunSummary, ...]
    weights: Mapping[str, str]
    isolation: str
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class TrialScore:
    """Validation accuracy of one trial, recomputed from its weights; None when it did not finish."""

    spec: str
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Screened:
    """The trials were ranked, best first; `passed` when the best one beats the control by the margin."""

    control: float
    scores: tuple[TrialScore, ...]
    margin: float
    best: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Attempted:
    """A spec got its generation number: from here on it is on the record, whatever happens."""

    generation: str
    spec: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The arbiter decided: the commit point. Scores are released ones, rounded to the contract's step.

    Attributes:
        child: the child's scores; None when it could not be scored.
        control: the control's; None for a root.
        voice: mean predictive distribution of the child over the probe, which later children are compared with.
        weights: digest of the child's run 0; "" when it returned none.
        archive: digest of the generation's hashes.csv, so that the ledger vouches for every artifact.
        head_before, head_after: generation of the champion; "" before the first.
    """

    generation: str
    spec: str
    outcome: Outcome
    criteria: tuple[Criterion, ...]
    reasons: tuple[str, ...]
    child: Fitness | None
    control: Fitness | None
    pairs: tuple[Pair, ...]
    voice: tuple[float, ...]
    weights: str
    archive: str
    head_before: str
    head_after: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The cycle ended."""

    outcome: Ending
    reason: str


Facts = Opened | Proposed | Frozen | Trained | Screened | Attempted | Verdict | Closed

EVENTS: dict[str, type[Facts]] = {
    "opened": Opened,
    "proposed": Proposed,
    "frozen": Frozen,
    "trained": Trained,
    "screened": Screened,
    "attempted": Attempted,
    "verdict": Verdict,
    "closed": Closed,
}

SUCCESSORS: dict[str, tuple[str, ...]] = {
    "": ("opened",),
    "opened": ("proposed", "frozen", "closed"),
    "proposed": ("frozen", "closed"),
    "frozen": ("trained", "closed"),
    "trained": ("screened", "attempted", "verdict", "closed"),
    "screened": ("attempted", "closed"),
    "attempted": ("frozen", "verdict", "closed"),
    "verdict": ("closed",),
    "closed": (),
}


def event_name(facts: Facts) -> str:
    """Name the event that these facts describe."""
    return next(name for name, kind in EVENTS.items() if type(facts) is kind)


def facts_of(entry: Entry) -> Facts:
    """Read an entry's facts as the record of its event.

    Raises:
        LedgerError: the event is unknown.
        AamsError: the facts are not exactly those of the event.
    """
    place = entry_name(entry)
    if entry.event not in EVENTS:
        raise LedgerError(Problem("is not an event of the ledger", entry.event, "one of " + ", ".join(EVENTS), place))
    kind: type[Facts] = EVENTS[entry.event]
    return from_data(kind, to_data(entry.facts), place)


def entry_name(entry: Entry) -> str:
    """Path of an entry's file in the repository."""
    return f"logs/cycles/{entry.cycle}/{entry.number:02d}-{entry.event}.json"
