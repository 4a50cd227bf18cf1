"""A storm of honest, duplicate, late, lost, reordered and forged events, with crashes, thrown at `safety.state.add`."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any, ClassVar, get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from aams.errors import AamsError
from aams.records import Entry
from safety.clock import later
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Ending,
    Facts,
    Frozen,
    Opened,
    Recalled,
    Revealed,
    Screened,
    Signed,
    Verdict,
)
from safety.ledger import Recorded, recorded_as
from safety.lineage import Lineage
from safety.seal import seal
from safety.state import State, add, fold

ENDINGS = get_args(Ending)
WORDS = ("", "G000", "G001", "G002", "accepted", "rejected", "proven", "more", "undecided", "trial", "attempt", "root")
KEYS = ("ann-propose", "ann-verdict", "bob-verdict", "")
MANY = st.integers(0, 30)
LOTS = st.integers(0, 2**30)


class Storm(RuleBasedStateMachine):
    """A ledger in memory, the state it should have, and what was thrown at it."""

    say: ClassVar[Any] = None
    actor: ClassVar[Any] = None
    recounted: ClassVar[Any] = None
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.recorded: list[Recorded] = []
        self.history: list[tuple[Entry, Facts]] = []
        self.held: list[tuple[Entry, Facts]] = []
        self.plans: dict[str, Any] = {}
        self.time = "2026-11-25T00:00:00Z"

    @initialize(lot=LOTS)
    def begin(self, lot: int) -> None:
        """A champion, and some cycles after it."""
        self.run("language-0", 20, self.actor.root)
        for number in range(1, 5):
            self.run(f"language-{number}", 20, self.actor.plan(f"{lot} {number}"))

    @rule(which=MANY, lot=LOTS, count=st.integers(1, 20))
    def go_on(self, which: int, lot: int, count: int) -> None:
        """Some honest events of one cycle, in order."""
        self.run(self.pick(which, lot), count)

    @rule(which=MANY, lot=LOTS, field=MANY, word=MANY, step=st.sampled_from([-1, 1]))
    def forge_a_field(self, which: int, lot: int, field: int, word: int, step: int) -> None:
        """The honest next event with one field changed."""
        cycle = self.pick(which, lot)
        facts = self.honest(self.state, cycle)
        if facts:
            self.throw(cycle, self.forged(facts, field, word, step))

    @rule(which=MANY, lot=LOTS)
    def cross_over(self, which: int, lot: int) -> None:
        """The honest next event, in another domain."""
        cycle = self.pick(which, lot)
        facts = self.honest(self.state, cycle)
        if facts and cycle in self.state.open_cycles:
            self.deliver(replace(self.entry(cycle, facts), domain="hybrid"), facts)

    @rule(which=MANY, other=MANY, lot=LOTS)
    def forge_an_event(self, which: int, other: int, lot: int) -> None:
        """What another cycle said, or would say next, said by this one."""
        cycle, others = self.pick(which, lot), [facts for _, facts in self.history]
        others += [facts for name in self.state.open_cycles if (facts := self.honest(self.state, name))]
        if others:
            self.throw(cycle, others[other % len(others)])

    @rule(which=MANY, key=st.sampled_from(KEYS), other=MANY)
    def grab_the_head(self, which: int, key: str, other: int) -> None:
        """An approval out of nowhere."""
        cycle = self.pick(which)
        head = self.head(self.state, cycle.split("-")[0])
        generations = [f"G{number:03d}" for number in range(6)]
        self.throw(cycle, self.say.approved(generations[other % 6], head, key=key))

    @rule(which=MANY, renumbered=st.booleans())
    def repeat(self, which: int, renumbered: bool) -> None:
        """An event that is recorded already."""
        if self.history:
            entry, facts = self.history[-1 - which % len(self.history)]
            self.deliver(self.numbered(entry) if renumbered else entry, facts)

    @rule(which=MANY, lot=LOTS)
    def hold_back(self, which: int, lot: int) -> None:
        """An honest event that will come late."""
        cycle = self.pick(which, lot)
        facts = self.honest(self.state, cycle)
        if facts:
            self.held.append((self.entry(cycle, facts), facts))

    @rule(which=MANY, renumbered=st.booleans())
    def come_late(self, which: int, renumbered: bool) -> None:
        if self.held:
            entry, facts = self.held.pop(which % len(self.held))
            self.deliver(self.numbered(entry) if renumbered else entry, facts)

    @rule(which=MANY, lot=LOTS, renumbered=st.booleans())
    def lose(self, which: int, lot: int, renumbered: bool) -> None:
        """The honest event after the next one, without the next one."""
        cycle = self.pick(which, lot)
        facts = self.honest(self.state, cycle)
        try:
            state = add(self.state, recorded_as(self.entry(cycle, facts))) if facts else self.state
        except AamsError:
            return
        after = self.honest(state, cycle)
        if after and facts:
            entry = self.entry(cycle, after)
            self.deliver(entry if renumbered else replace(entry, number=entry.number + 1), after)

    @rule(which=MANY, ending=st.sampled_from(ENDINGS))
    def end(self, which: int, ending: Any) -> None:
        self.throw(self.pick(which), self.say.closed(ending))

    @rule(lost=st.sampled_from([1, 1, 2, 3, 8]))
    def crash(self, lost: int) -> None:
        """Only a prefix was recorded."""
        del self.recorded[-lost:], self.history[-lost:]
        self.state = fold(self.recorded)
        self.seen["crash"] += 1

    @rule(seconds=st.sampled_from([60, 86_400, 864_000]))
    def wait(self, seconds: int) -> None:
        self.time = later(self.time, seconds)

    @invariant()
    def every_open_cycle_can_be_closed(self) -> None:
        for cycle in self.state.open_cycles:
            assert any(self.accepts(cycle, self.say.closed(ending)) for ending in ENDINGS), cycle

    @invariant()
    def counters_are_what_a_recount_gives(self) -> None:
        self.recounted(self.history, self.state)

    def teardown(self) -> None:
        assert fold(self.recorded) == self.state

    def deliver(self, entry: Entry, facts: Facts) -> bool:
        """Throw one entry; the state moves only as it may, or not at all."""
        before, recorded = self.state, recorded_as(entry)
        try:
            after = add(before, recorded)
        except AamsError:
            self.seen["refused"] += 1
            return False
        if any((entry.cycle, entry.number) == (known.cycle, known.number) for known, _ in self.history):
            assert entry.event == "opened", "only the ledger knows that a closed cycle's name is taken"
            return False
        own = [said for known, said in self.history if known.cycle == entry.cycle]
        assert entry.number == len(own) + 1
        assert not any(isinstance(said, Closed) for said in own)
        self.check_move(before, after, entry, facts)
        self.state = after
        self.recorded.append(recorded)
        self.history.append((entry, facts))
        self.seen[entry.event] += 1
        return True

    def check_move(self, before: State, after: State, entry: Entry, facts: Facts) -> None:
        """COMMIT and HEAD: never without their reasons."""
        moved = {name for name in after.lineages if self.champion(before, name) != self.champion(after, name)}
        assert moved == ({entry.domain} if entry.event == "approved" else set())
        cycle = after.open_cycles.get(entry.cycle)
        assert (cycle is not None and cycle.phase == "COMMIT") == (entry.event == "approved")
        if isinstance(facts, Approved):
            assert self.head(after, entry.domain) == facts.generation
            self.check_promotion(before, entry, facts)

    def check_promotion(self, before: State, entry: Entry, facts: Approved) -> None:
        """What must be on record, read from the entries themselves."""
        own = [said for known, said in self.history if known.cycle == entry.cycle]
        said: dict[type, Any] = {type(each): each for each in own}
        opened, keys = said[Opened], [each.proposer for each in own if isinstance(each, Frozen | Recalled)]
        assert opened.parent in ("", self.head(before, entry.domain))
        if Recalled in said:
            self.seen["rolled back"] += 1
            champions = [each.generation for known, each in self.approvals() if known.domain == entry.domain]
            assert facts.generation == said[Recalled].generation
            assert facts.generation in champions
        else:
            keys = [each.proposer for each in own if isinstance(each, Frozen) and each.stage != "trial"]
            verdict, look = said[Verdict], own[-3 if opened.parent else -2]
            assert (verdict.outcome, verdict.generation) == ("accepted", facts.generation)
            assert verdict.criteria
            assert all(criterion.passed for criterion in verdict.criteria)
            assert look.standing == "proven"
        if opened.parent and Recalled not in said:
            screened, revealed = said[Screened], said[Revealed]
            assert screened.passed
            assert not revealed.placebo
            assert screened.best == revealed.spec == verdict.spec
            assert said[Attempted].sealed == seal(revealed.salt, revealed.spec, False)
        assert keys
        assert all(keys)
        first = {key.fingerprint for key in keys}
        assert len(first) == 1
        assert "" not in first
        assert facts.approver.fingerprint not in first | {""}

    def approvals(self) -> list[tuple[Entry, Approved]]:
        return [(entry, facts) for entry, facts in self.history if isinstance(facts, Approved)]

    def run(self, cycle: str, count: int, plan: Any = None) -> None:
        """Go on as planned; close what can't go on so."""
        self.plans[cycle] = plan or self.plans[cycle]
        for _ in range(count):
            facts = self.honest(self.state, cycle)
            if facts is None or isinstance(facts, Closed):
                break
            if not self.throw(cycle, facts):
                self.seen[self.plans[cycle].trick] += 1
                self.close(cycle)
                return
        if isinstance(facts, Closed) and not self.throw(cycle, facts):
            self.close(cycle)

    def throw(self, cycle: str, facts: Facts) -> bool:
        return self.deliver(self.entry(cycle, facts), facts)

    def accepts(self, cycle: str, facts: Facts) -> bool:
        try:
            add(self.state, recorded_as(self.entry(cycle, facts)))
        except AamsError:
            return False
        return True

    def close(self, cycle: str) -> None:
        if cycle in self.state.open_cycles:
            assert any(self.throw(cycle, self.say.closed(ending)) for ending in ENDINGS)

    def entry(self, cycle: str, facts: Facts) -> Entry:
        number = 1 + sum(entry.cycle == cycle for entry, _ in self.history)
        said, domain = self.say.own(cycle, facts), cycle.split("-")[0]
        entry: Entry = self.say.entry(cycle, number, said, domain=domain, time=self.time)
        return entry

    def numbered(self, entry: Entry) -> Entry:
        number = 1 + sum(known.cycle == entry.cycle for known, _ in self.history)
        return replace(entry, number=number, time=self.time)

    def pick(self, which: int, lot: int = 0) -> str:
        """An open cycle, or a new one of either domain."""
        known = {entry.cycle for entry, _ in self.history}
        fresh = [f"{domain}-{sum(name.startswith(domain) for name in known)}" for domain in ("language", "vision")]
        choices = [*self.state.open_cycles, *self.state.open_cycles, *fresh]
        cycle = choices[which % len(choices)]
        if cycle in fresh:
            self.plans[cycle] = self.actor.plan(f"{lot} {cycle} {len(self.history)}")
        return cycle

    def champion(self, state: State, domain: str) -> Any:
        return state.lineages.get(domain, Lineage()).champion

    def head(self, state: State, domain: str) -> str:
        champion = self.champion(state, domain)
        return champion.generation if champion else ""

    def honest(self, state: State, name: str) -> Facts | None:
        facts: Facts | None = self.actor.next(state, name, self.plans.get(name))
        return facts

    def forged(self, facts: Facts, which: int, word: int, step: int) -> Facts:
        """The same facts with one field changed into something else of its type."""
        field = fields(facts)[which % len(fields(facts))].name
        value = getattr(facts, field)
        words = [*WORDS, *(self.say.sha(f"child of {name}") for name in self.plans)]
        match value:
            case bool():
                value = not value
            case str():
                value = words[word % len(words)]
            case int() | float():
                value += step
            case tuple():
                value = ()
            case Signed():
                key = KEYS[word % len(KEYS)]
                value = replace(value, fingerprint=f"SHA256:{key}" if key else "")
            case None:
                return facts
            case _ if field in ("child", "control", "look", "proposer"):
                value = None
        return replace(facts, **{field: value})


def test_no_storm_moves_the_head_without_its_reasons(say: Any, actor: Any, recounted: Any) -> None:
    storm = type(
        "StormOfThisTest",
        (Storm,),
        {"say": say, "actor": actor, "recounted": staticmethod(recounted), "seen": Counter()},
    )
    calm = settings(
        max_examples=40,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(storm, settings=calm)
    missed = {"approved", "rolled back", "revealed", "closed", "refused", "crash"} - set(storm.seen)
    assert not missed, "the storm is too weak to show anything"


def test_no_trick_moves_the_head(say: Any, actor: Any, recounted: Any) -> None:
    """Cycle after cycle, half of them with a trick: each is refused where it is tried, and its cycle can be closed."""
    storms = type(
        "StormOfThisTest",
        (Storm,),
        {"say": say, "actor": actor, "recounted": staticmethod(recounted), "seen": Counter()},
    )
    for seed in range(25):
        storm: Any = storms()
        storm.run("language-0", 20, actor.root)
        for number in range(1, 20):
            storm.run(f"language-{number}", 20, actor.plan(f"{seed} {number}"))
            storm.every_open_cycle_can_be_closed()
            assert not storm.throw(f"language-{number}", say.opened("")), "a closed cycle is never opened again"
        storm.counters_are_what_a_recount_gives()
        storm.teardown()
        assert not storm.state.open_cycles
    missed = {"approved", "rolled back", "revealed", *actor.tricks} - set(storms.seen)
    assert not missed, "these were never tried"
