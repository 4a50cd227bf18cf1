"""The events of the ledger and what each one says: the closed vocabulary of AAMS's history.

Records only; `safety.lifecycle` says which may follow which. A usual cycle is opened, proposed, frozen, trained,
screened, attempted, frozen, trained, looked (the last three again while the evidence is not enough), verdict, revealed,
approved, closed. A root, the first of a lineage, is opened, attempted, frozen, trained, looked, verdict, approved,
closed. A re-challenge is opened, frozen, trained, looked, closed; a rollback is opened, recalled, approved, closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aams.canonical import from_data, to_data
from aams.errors import LedgerError, Problem
from aams.records import (
    Arm,
    Cost,
    Criterion,
    Entry,
    Finding,
    Fitness,
    Look,
    Mutation,
    Outcome,
    Pair,
    Stage,
    Standing,
)
from safety.signatures import Statement

Ending = Literal[
    "accepted",
    "rejected",
    "placebo",
    "declined",
    "rolled-back",
    "screened-out",
    "explored",
    "nothing-to-try",
    "abandoned",
    "expired",
    "confirmed",
    "outdone",
]
"""Of an attempt: accepted, rejected, a placebo, or accepted by the arbiter and declined by the person. Of a rollback.
Of a cycle without an attempt: the screen, a schedule without the karma for one, no child, a person, a deadline. Of a
re-challenge: the champion stood, or its predecessor proved better."""


CURVE_POINTS = 16


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
    """A child that the gates let pass: `spec` is its id, `text` the whole of it as YAML, `tree` what that says."""

    spec: str
    text: str
    tree: Mapping[str, Any]
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
class Signed:
    """A statement under one key. `principal` and `fingerprint` say whose, as was checked when it was recorded."""

    statement: Statement
    signature: str
    principal: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """A manifest was frozen, its single-use nonce issued and its compute reserved.

    Attributes:
        reserved_flops: training FLOPs of all its runs, taken from the month's budget until the results are in; of an
            attempt the most that they can be.
        proposer: the first key; None where nobody could sign, and then nothing can be promoted.
    """

    stage: Stage
    batch: int
    manifest: str
    nonce: str
    runs: int
    reserved_flops: int
    proposer: Signed | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One training as it was reported.

    An attempt's child is sealed until the verdict, and nothing that its runs measured may give away which child it is:
    `spec` is "", `curve` is empty, and all numbers but `law_violations` are None.

    Attributes:
        spec: what was trained.
        status: finished, stopped by a limit, failed, or dropped at a rung.
        accuracy, bits: on validation, None when it did not finish.
        loss_last: in nats, 0 when it did not get as far.
        law_violations: how many it reported, and one more when a limit of the budget stopped it.
        latency_ms, memory_bytes: of one forward pass, and the most that it held, as its machine measured them; None
            when it did not finish.
        curve: rising (step, loss in nats), at most `CURVE_POINTS` of those it reported.
    """

    name: str
    arm: Arm
    pair: int
    spec: str
    status: str
    reason: str
    steps: int | None
    items: int | None
    accuracy: float | None
    bits: float | None
    loss_last: float | None
    law_violations: int
    latency_ms: float | None
    memory_bytes: int | None
    curve: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Trained:
    """Results came back and were bound to their manifest.

    Attributes:
        results: digest of results.json.
        weights: digest of each finished run's weights, by run name.
        isolation: what confined the trainer.
        fingerprint: digest of the environment that the trained bytes depend on.
        used_flops: training FLOPs of the steps that were taken; what was reserved beyond them is free again. An
            attempt's are all that was reserved, as its steps would tell what its child costs.
        cpu_s: of all runs; of an attempt's child as much as of its control, as its own might tell it from its parent.
        wall_s: of the bundle as a whole.
    """

    stage: Stage
    batch: int
    results: str
    runs: tuple[RunSummary, ...]
    weights: Mapping[str, str]
    isolation: str
    fingerprint: str
    used_flops: int
    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class TrialScore:
    """Validation accuracy of one trial, recomputed from its weights; None when it was dropped or did not finish."""

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
    """A child got its generation number: from here on it is on the record, whatever happens.

    Attributes:
        sealed: commitment to which spec it is and whether it is a placebo; "" for a root, which hides nothing.
    """

    generation: str
    sealed: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The arbiter recomputed a batch of pairs on the holdout and looked at all of them so far.

    Attributes:
        pairs: of this batch.
        voice, control_voice: mean predictive distributions over the probe, (classes,); of the first batch only.
        look: where the test stands; None for a root. Of a re-challenge it tests that the predecessor is better.
        standing: "more" asks for another batch; "proven" for a root.
    """

    generation: str
    batch: int
    pairs: tuple[Pair, ...]
    voice: tuple[float, ...]
    control_voice: tuple[float, ...]
    look: Look | None
    standing: Standing


@dataclass(frozen=True, slots=True)
class Verdict:
    """The arbiter decided. Scores are released ones, rounded to the contract's step; drifts are rounded up to it.

    Attributes:
        spec: id of what was judged.
        criteria: with the numbers that were compared: means of the pairs' released scores, not rounded again.
        child: the child's scores; None when it could not be scored.
        control: the control's; None for a root.
        voice: mean predictive distribution of the child over the probe, which later children are compared with.
        look: where the test stood; None for a root, and for a child that could not be scored.
        weights: digest of the child's run 0; "" when it returned none.
        archive: digest of the generation's hashes.csv, so that the ledger vouches for every artifact.
    """

    generation: str
    spec: str
    outcome: Outcome
    criteria: tuple[Criterion, ...]
    reasons: tuple[str, ...]
    child: Fitness | None
    control: Fitness | None
    look: Look | None
    voice: tuple[float, ...]
    weights: str
    archive: str


@dataclass(frozen=True, slots=True)
class Revealed:
    """What was sealed before an attempt was trained: its child, and whether it was a placebo. Anybody can check it."""

    generation: str
    spec: str
    placebo: bool
    salt: str


@dataclass(frozen=True, slots=True)
class Recalled:
    """An earlier champion is proposed to be champion again: the first key of a rollback."""

    generation: str
    reason: str
    proposer: Signed


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review on GitHub that an approval rests on: whose, its number, the commit it is of, and the tag's own object.

    Attributes:
        proposed_by: who wished for what was approved, by login; "" when nobody did.
    """

    login: str
    review: int
    commit: str
    tag: str
    proposed_by: str


@dataclass(frozen=True, slots=True)
class Approved:
    """The second key: the commit point, which moves HEAD. `review` is None where a person signed by himself."""

    generation: str
    approver: Signed
    head_before: str
    head_after: str
    review: Reviewed | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The cycle ended."""

    outcome: Ending
    reason: str


Facts = (
    Opened
    | Proposed
    | Frozen
    | Trained
    | Screened
    | Attempted
    | Looked
    | Verdict
    | Revealed
    | Recalled
    | Approved
    | Closed
)

EVENTS: dict[str, type[Facts]] = {
    "opened": Opened,
    "proposed": Proposed,
    "frozen": Frozen,
    "trained": Trained,
    "screened": Screened,
    "attempted": Attempted,
    "looked": Looked,
    "verdict": Verdict,
    "revealed": Revealed,
    "recalled": Recalled,
    "approved": Approved,
    "closed": Closed,
}


def without_score(trained: Iterable[Trained]) -> dict[str, str]:
    """Why a trial has no score, by spec: the rung it was dropped at, or that it did not finish."""
    return {
        run.spec: run.reason if run.status == "dropped" else "did not finish"
        for one in trained
        for run in one.runs
        if run.status != "finished"
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
