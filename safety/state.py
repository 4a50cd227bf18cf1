"""The state of every lineage and of the budget: what the ledger adds up to.

Takes the entries in order, gives a `State`. Pure: equal ledgers, equal states. Every counter (compute, karma, attempts,
discoveries, placebos) is such a sum and stands nowhere else. Refuses a history that contradicts itself; never repairs
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from aams.records import Entry, Look
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Frozen,
    Looked,
    Proposed,
    Recalled,
    Revealed,
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded
from safety.lifecycle import Cycle, advance, contradiction
from safety.lineage import (
    Champion,
    Generation,
    Lineage,
    Spent,
    Status,
    find,
    head_of,
    is_of_present_line,
    predecessor,
    settle,
)

VERIFIED = ("finished", "dropped")
"""Statuses of runs whose results were held against the manifest."""


@dataclass(frozen=True, slots=True)
class State:
    """Every lineage by domain, the cycles that have not ended, by id, and what each month's compute is spoken for.

    Attributes:
        month_flops: training FLOPs reserved or used, by month, as in `2026-11`.
        promised: predicted effects of the children of open cycles, by cycle and spec.
        issued: nonces and digests of all manifests, by their first two digits: one more copies little.
        time: of the newest entry, UTC; "" before the first.
    """

    lineages: Mapping[str, Lineage] = field(default_factory=dict)
    open_cycles: Mapping[str, Cycle] = field(default_factory=dict)
    month_flops: Mapping[str, int] = field(default_factory=dict)
    promised: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    issued: Mapping[str, frozenset[str]] = field(default_factory=dict)
    time: str = ""


def fold(ledger: Iterable[Recorded]) -> State:
    """Add up the ledger.

    Raises:
        LedgerError: naming the first entry that contradicts those before it.
    """
    state = State()
    for recorded in ledger:
        state = add(state, recorded)
    return state


def add(state: State, recorded: Recorded) -> State:
    """The state after one more entry.

    Raises:
        LedgerError: the entry contradicts those before it.
    """
    entry, digest = recorded
    facts = facts_of(entry)
    before = state.open_cycles.get(entry.cycle)
    cycle = advance(before, entry, facts)
    lineage = state.lineages.get(entry.domain, Lineage())
    months, promised, issued = state.month_flops, state.promised, state.issued
    match facts:
        case Proposed():
            promised = {**promised, cycle.id: {child.spec: child.predicted_effect for child in facts.children}}
        case Frozen():
            months = _spoken_for(months, entry.time, facts.reserved_flops)
            issued = _issue(_issue(issued, entry, "nonce", facts.nonce), entry, "manifest", facts.manifest)
        case Trained():
            reserved_at = before.since if before else entry.time
            months = _spoken_for(months, reserved_at, facts.used_flops - (before.reserved_flops if before else 0))
            lineage = _train(lineage, cycle, facts)
        case Attempted():
            lineage = _attempt(lineage, cycle, entry, facts)
        case Looked() if cycle.stage == "rechallenge" and facts.standing != "more":
            _agree(entry, "generation", facts.generation, head_of(lineage))
            lineage = replace(lineage, retested=entry.time, retest=facts.look)
        case Looked() if cycle.stage == "attempt":
            lineage = _look(lineage, cycle, entry, facts, before.look if before else None)
        case Verdict():
            cycle = replace(cycle, decided=digest)
            lineage = _decide(lineage, cycle, facts, promised.get(cycle.id, {}))
        case Revealed() if facts.placebo:
            lineage = _unmask(lineage, cycle)
        case Recalled():
            cycle = replace(cycle, decided=digest)
            _recall(lineage, entry, facts)
        case Approved():
            lineage = _approve(lineage, cycle, entry, facts)
        case Closed():
            lineage = replace(_close(lineage, cycle, facts), ended=facts.outcome)
            promised = {name: effects for name, effects in promised.items() if name != cycle.id}
    still_open = {name: other for name, other in state.open_cycles.items() if name != cycle.id}
    if not isinstance(facts, Closed):
        still_open[cycle.id] = cycle
    return State({**state.lineages, entry.domain: lineage}, still_open, months, promised, issued, entry.time)


def _spoken_for(months: Mapping[str, int], time: str, flops: int) -> Mapping[str, int]:
    month = time[:7]
    return {**months, month: months.get(month, 0) + flops}


def _issue(issued: Mapping[str, frozenset[str]], entry: Entry, name: str, value: str) -> Mapping[str, frozenset[str]]:
    """Remember what is one bundle's alone."""
    known = issued.get(value[:2], frozenset())
    if value in known:
        raise contradiction(entry, f"has the {name} of another bundle", value[:12])
    return {**issued, value[:2]: known | {value}}


def _train(lineage: Lineage, cycle: Cycle, facts: Trained) -> Lineage:
    trained = frozenset(run.spec for run in facts.runs if run.spec and run.status != "stopped")
    counts = facts.stage == "trial" and cycle.opened.parent == head_of(lineage)
    verified = sum(run.arm == "child" and run.status in VERIFIED for run in facts.runs) if counts else 0
    return replace(lineage, tried=lineage.tried | trained, trials=lineage.trials + verified)


def _attempt(lineage: Lineage, cycle: Cycle, entry: Entry, facts: Attempted) -> Lineage:
    _agree(entry, "generation", facts.generation, lineage.next_generation)
    _agree(entry, "parent", cycle.opened.parent, head_of(lineage) if cycle.opened.parent else "")
    _agree_on_corpus(lineage, cycle, entry)
    directory = f"{facts.generation}-{entry.time[:10].replace('-', '')}-{entry.time[11:19].replace(':', '')}"
    attempts = lineage.attempts + bool(cycle.opened.parent)
    hypothesis = attempts if cycle.opened.parent else 0
    attempt = Generation(facts.generation, directory, entry.cycle, cycle.opened.parent, "open", hypothesis)
    generations = (*lineage.generations, attempt)
    return replace(lineage, generations=generations, next_generation=f"G{len(generations):03d}", attempts=attempts)


def _look(lineage: Lineage, cycle: Cycle, entry: Entry, facts: Looked, earlier: Look | None) -> Lineage:
    """Hold a look against the counters that its level comes from; fewer discoveries only make the level stricter.

    Its level is counted once, however often the attempt is looked at, and on the corpus that the attempt is on.
    """
    attempt = find(lineage, entry, facts.generation, "open")
    if facts.look is None:
        return lineage
    _agree(entry, "attempt", str(facts.look.attempt), str(attempt.hypothesis))
    if is_of_present_line(lineage, attempt) and facts.look.discoveries > lineage.discoveries:
        got = f"{facts.look.discoveries}, where there are {lineage.discoveries}"
        raise contradiction(entry, "counts more discoveries than its line has", got)
    more, corpus = max(0.0, facts.look.level - (earlier.level if earlier else 0.0)), cycle.opened.corpus
    if corpus == lineage.corpus:
        return replace(lineage, alpha_spent=lineage.alpha_spent + more)
    left = lineage.spent.get(corpus, Spent())
    return replace(lineage, spent={**lineage.spent, corpus: replace(left, alpha_spent=left.alpha_spent + more)})


def _decide(lineage: Lineage, cycle: Cycle, facts: Verdict, promised: Mapping[str, float]) -> Lineage:
    attempt = next(item for item in lineage.generations if item.name == cycle.generation)
    judged = replace(
        attempt,
        status="rejected" if facts.outcome == "rejected" else "open",
        spec=facts.spec,
        verdict=facts.outcome,
        archive=facts.archive,
        weights=facts.weights,
        fitness=facts.child,
        voice=facts.voice,
    )
    lineage = replace(settle(lineage, judged), tried=lineage.tried | {facts.spec})
    if facts.look is None or not is_of_present_line(lineage, judged):
        return lineage
    predicted = promised.get(facts.spec)
    known = () if predicted is None else ((predicted, facts.look.gain),)
    found = lineage.discoveries + (facts.outcome == "accepted")
    return replace(lineage, discoveries=found, predictions=lineage.predictions + known)


def _unmask(lineage: Lineage, cycle: Cycle) -> Lineage:
    """Count a placebo, and let the child whose place it took be proposed again."""
    attempt = next(item for item in lineage.generations if item.name == cycle.generation)
    lineage = settle(lineage, replace(attempt, status="placebo"))
    return replace(
        lineage,
        tried=lineage.tried - {cycle.best},
        placebos=lineage.placebos + 1,
        false_promotions=lineage.false_promotions + (cycle.verdict == "accepted"),
    )


def _recall(lineage: Lineage, entry: Entry, facts: Recalled) -> None:
    recalled = find(lineage, entry, facts.generation, "accepted")
    if not is_of_present_line(lineage, recalled) or recalled.name == head_of(lineage):
        raise contradiction(entry, "recalls what is no earlier champion of the present line", facts.generation)


def _approve(lineage: Lineage, cycle: Cycle, entry: Entry, facts: Approved) -> Lineage:
    head = head_of(lineage)
    _agree(entry, "head_before", facts.head_before, head)
    _agree(entry, "parent", cycle.opened.parent, head if cycle.opened.parent else "")
    _agree_on_corpus(lineage, cycle, entry)
    attempt = find(lineage, entry, facts.generation, "accepted" if cycle.recalled else "open")
    if attempt.fitness is None:
        raise contradiction(entry, "approves a generation without scores", facts.generation)
    champion = Champion(
        attempt.name,
        attempt.directory,
        attempt.spec,
        attempt.weights,
        attempt.fitness,
        attempt.voice,
        cycle.decided,
        entry.time,
    )
    lineage = settle(lineage, replace(attempt, status="accepted"))
    lineage = replace(lineage, champion=champion, trials=0, predictions=(), retested="", retest=None, outdone=False)
    if attempt.parent or cycle.recalled:
        return replace(lineage, best_recall=max(lineage.best_recall, champion.fitness.recall))
    left = Spent(lineage.attempts, lineage.discoveries, lineage.alpha_spent)
    spent = {**lineage.spent, lineage.corpus: left}
    found = spent.get(cycle.opened.corpus, Spent())
    return replace(
        lineage,
        corpus=cycle.opened.corpus,
        root=champion,
        best_recall=champion.fitness.recall,
        tried=frozenset({attempt.spec}),
        attempts=found.attempts,
        discoveries=found.discoveries,
        alpha_spent=found.alpha_spent,
        spent=spent,
    )


def _close(lineage: Lineage, cycle: Cycle, facts: Closed) -> Lineage:
    if facts.outcome == "explored":  # its best child passed the screen, and was only kept from its attempt
        return replace(lineage, tried=lineage.tried - {cycle.best})
    if facts.outcome == "outdone" and cycle.opened.parent == head_of(lineage):
        lineage = replace(lineage, outdone=True)
    before = predecessor(lineage)
    if facts.outcome == "declined" and before and cycle.recalled == before.name:
        lineage = replace(lineage, outdone=False)
    if facts.outcome == "confirmed" and cycle.opened.parent == head_of(lineage):
        lineage = replace(lineage, outdone=False)
    ended: Status = "declined" if cycle.verdict == "accepted" else "abandoned"
    for attempt in lineage.generations:
        if attempt.name == cycle.generation and attempt.status == "open":
            lineage = settle(lineage, replace(attempt, status=ended))
    return lineage


def _agree(entry: Entry, name: str, got: str, wanted: str) -> None:
    if got != wanted:
        raise contradiction(
            entry, f"contradicts the ledger before it: {name} should be {wanted or 'empty'}", got or "empty"
        )


def _agree_on_corpus(lineage: Lineage, cycle: Cycle, entry: Entry) -> None:
    """A root is held against nothing, so it begins a line on another corpus; all else stays on its champion's."""
    corpus = cycle.opened.corpus
    if lineage.champion and bool(cycle.opened.parent) != (corpus == lineage.corpus):
        what = "leaves the corpus of its line" if cycle.opened.parent else "begins a line on the corpus that it has"
        raise contradiction(entry, what, corpus)
