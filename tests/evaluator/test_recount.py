from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import digest, to_data
from aams.errors import LedgerError
from aams.records import Cost, Look, Pair, Scores, Stage
from evaluator import arbiter
from evaluator.recount import Recount, evidence_on, law_violations, recount, verdict_of
from evaluator.screen import screen
from safety.clock import later
from safety.contract import CONTRACT_PATH, load_contract
from safety.events import (
    Approved,
    Attempted,
    Closed,
    Facts,
    Frozen,
    Looked,
    Opened,
    Proposed,
    ProposedChild,
    Revealed,
    RunSummary,
    Screened,
    Signed,
    Trained,
    Verdict,
    facts_of,
)
from safety.ledger import Recorded, next_entry, recorded_as
from safety.lifecycle import RECHALLENGE
from safety.lineage import Lineage
from safety.seal import seal
from safety.signatures import Statement
from safety.signers import Role
from safety.state import fold

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
STRICTER = replace(
    CONTRACT, digest="f" * 64, promotion=replace(CONTRACT.promotion, alpha=Decimal("0.01"), screen_margin=Decimal(0))
)
KNOWN = {CONTRACT.digest: CONTRACT}
COST = Cost(1000, 2000, 6000, 0, 32, 192000, 4096, 16000)
SALT = "5" * 64
GAINS = (0.08, 0.079, 0.081, 0.08)
UNSURE = (0.05, -0.01, 0.06, 0.04)
LOSSES = (-0.8, -0.8, -0.8, -0.8)


class Decided:
    """A ledger of decisions that were made as the arbiter makes them, a minute an entry."""

    def __init__(self) -> None:
        self.ledger: list[Recorded] = []
        self.contract = CONTRACT

    @property
    def lineage(self) -> Lineage:
        return fold(self.ledger).lineages.get("language", Lineage())

    def facts(self, cycle: str) -> list[Facts]:
        return [facts_of(entry) for entry, _ in self.ledger if entry.cycle == cycle]

    def record(self, cycle: str, *facts: Facts) -> None:
        for one in facts:
            now = later("2026-11-21T00:00:00Z", 60 * len(self.ledger))
            entry = next_entry(self.ledger, cycle, one, "language", self.contract.digest, now)
            self.ledger.append(recorded_as(entry))

    def train(self, cycle: str, stage: Stage, batch: int = 0, broken: int = 0) -> None:
        arm, name = "root" if stage == "root" else "child", [cycle, stage, batch]
        run = RunSummary(f"{arm}-0", arm, 0, "", "finished", "", 90, 2880, 0.5, 2.0, 1.5, broken, None, None, ())
        proposer = self.signed("propose")
        frozen = Frozen(stage, batch, digest(["manifest", *name]), digest(["nonce", *name]), 2, 1000, proposer)
        weights = {run.name: digest(["weights", *name])}
        trained = Trained(stage, batch, digest(["results", *name]), (run,), weights, "none", "7" * 64, 800, 1.5, 2.5)
        self.record(cycle, frozen, trained)

    def signed(self, role: Role) -> Signed:
        statement = Statement(1, "unversioned", role, "language", "", "", "", "", (), "2026-12-31T00:00:00Z")
        return Signed(statement, "signature", role, f"SHA256:{role}")

    def open(self, cycle: str, parent: str, planner: str = "mutate-champion") -> None:
        self.record(cycle, Opened(7, planner, "person", parent, "corpus-a", "", ""))

    def search(self, cycle: str, scores: dict[str, float | None], control: float = 0.5) -> None:
        """Open a cycle of the champion's children and screen them."""
        champion = self.lineage.champion
        self.open(cycle, champion.generation if champion else "")
        named = {digest([cycle, name]): score for name, score in scores.items()}
        children = (ProposedChild(spec, "", {}, (), "", 0.01, COST) for spec in named)
        self.record(cycle, Proposed(tuple(children), ()))
        self.train(cycle, "trial")
        self.record(cycle, screen(control, named, self.contract.promotion.screen_margin))

    def start(self, cycle: str, broken: int = 0) -> str:
        """Attempt a child that passed the screen; its generation."""
        self.search(cycle, {"child": 0.6, "other": None})
        generation, spec = self.lineage.next_generation, digest([cycle, "child"])
        self.record(cycle, Attempted(generation, seal(SALT, spec, False)))
        self.train(cycle, "attempt", broken=broken)
        return generation

    def look(
        self, cycle: str, generation: str, gains: Sequence[float] | None, recall: float = 0.8, batch: int = 0
    ) -> Looked:
        """Look at a batch; without gains it is a root's."""
        before = [pair for one in self.facts(cycle) if isinstance(one, Looked) for pair in one.pairs]
        pairs = tuple(
            Pair(
                len(before) + number,
                Scores(recall, round(0.5 + gain, 3), 2.5),
                Scores(0.8, 0.5, 2.6) if gains else None,
            )
            for number, gain in enumerate(gains or (0.0,) * 4)
        )
        voices = ((0.25, 0.75), (0.3, 0.7) if gains else ()) if not before else ((), ())
        look = self._tested(cycle, generation, [*before, *pairs]) if gains else None
        looked = Looked(generation, batch, pairs, *voices, look, look.standing if look else "proven")
        self.record(cycle, looked)
        return looked

    def _tested(self, cycle: str, generation: str, pairs: Sequence[Pair]) -> Look:
        state = fold(self.ledger)
        if state.open_cycles[cycle].stage == "rechallenge":
            return arbiter.look_back(self.contract, pairs)
        attempt = next(one for one in self.lineage.generations if one.name == generation)
        return arbiter.look_at(self.contract, pairs, attempt.hypothesis, self.lineage.discoveries)

    def verdict(self, cycle: str, generation: str, scored: bool = True) -> Verdict:
        facts = self.facts(cycle)
        evidence = evidence_on(facts, self.lineage, self.contract) if scored else None
        violations = law_violations(facts)
        refused = arbiter.refuse(self.contract, violations, "Run child-0 failed: it broke")
        decision = arbiter.decide(self.contract, evidence) if evidence else refused
        archive = digest(["archive", generation])
        verdict = verdict_of(generation, digest([cycle, "child"]), facts, evidence, decision, archive)
        self.record(cycle, verdict)
        return verdict

    def conclude(self, cycle: str, generation: str, scored: bool = True) -> None:
        head = self.lineage.champion
        accepted = self.verdict(cycle, generation, scored).outcome == "accepted"
        if head:
            self.record(cycle, Revealed(generation, digest([cycle, "child"]), False, SALT))
        if accepted:
            before = head.generation if head else ""
            self.record(cycle, Approved(generation, self.signed("verdict"), before, generation))
        self.record(cycle, Closed("accepted" if accepted else "rejected", ""))

    def begin(self) -> None:
        self.open("root", "")
        self.record("root", Attempted("G000", ""))
        self.train("root", "root")
        self.look("root", "G000", None)
        self.conclude("root", "G000")

    def attempt(self, cycle: str, *batches: Sequence[float], recall: float = 0.8, broken: int = 0) -> None:
        """A whole cycle; without batches its child could not be scored."""
        generation = self.start(cycle, broken)
        for batch, gains in enumerate(batches):
            if batch:
                self.train(cycle, "attempt", batch)
            self.look(cycle, generation, gains, recall, batch)
        self.conclude(cycle, generation, scored=bool(batches))

    def challenge(self, cycle: str) -> None:
        champion = self.lineage.champion
        assert champion
        self.open(cycle, champion.generation, RECHALLENGE)
        self.train(cycle, "rechallenge")
        self.look(cycle, champion.generation, UNSURE)

    def doctor(self, said: Facts) -> None:
        """Put other facts into the last entry of a kind, and let all that came after follow it."""
        renamed: dict[str, str] = {}
        last = max(place for place, (entry, _) in enumerate(self.ledger) if type(facts_of(entry)) is type(said))
        for place, (entry, before) in enumerate(self.ledger):
            follows = tuple(sorted(renamed.get(one, one) for one in entry.follows))
            facts = to_data(said) if place == last else entry.facts
            self.ledger[place] = recorded_as(replace(entry, follows=follows, facts=facts))
            renamed[before] = self.ledger[place].digest

    def last(self, kind: type[Any]) -> Any:
        return [facts for facts in (facts_of(entry) for entry, _ in self.ledger) if isinstance(facts, kind)][-1]


@pytest.fixture
def decided() -> Decided:
    """A root, and a child that is proven within its second batch and promoted."""
    life = Decided()
    life.begin()
    life.attempt("first", GAINS, GAINS, recall=0.82)
    assert life.lineage.champion
    assert life.lineage.champion.generation == "G001"
    return life


def refusal(ledger: Sequence[Recorded]) -> str:
    with pytest.raises(LedgerError) as refused:
        recount(ledger, KNOWN)
    return str(refused.value)


def test_honest_decisions_of_every_kind_come_out_as_they_are_recorded(decided: Decided) -> None:
    decided.search("second", {"one": 0.5, "two": 0.49, "three": None})
    decided.record("second", Closed("screened-out", ""))
    decided.attempt("third", GAINS, UNSURE, GAINS)
    decided.attempt("fourth", LOSSES)
    decided.attempt("fifth", broken=2)
    decided.challenge("sixth")
    looked = [decided.facts(cycle) for cycle in ("third", "fourth", "sixth")]
    standings = [one.standing for facts in looked for one in facts if isinstance(one, Looked)]
    assert standings == ["more", "more", "proven", "futile", "futile"]
    assert recount(decided.ledger, KNOWN) == Recount(decisions=6 + 1 + 5 + 3 + 2 + 1, elsewhere=0)
    assert recount(decided.ledger, KNOWN, "third") == Recount(decisions=5, elsewhere=0)


def test_a_child_that_lost_is_not_proven_whatever_its_look_says(decided: Decided) -> None:
    generation = decided.start("second")
    lost = decided.look("second", generation, LOSSES)
    assert lost.look
    decided.doctor(
        replace(lost, look=replace(lost.look, level=0.99, e_value=1.02, standing="proven"), standing="proven")
    )
    decided.conclude("second", generation)
    assert decided.lineage.generations[-1].verdict == "rejected", "a criterion of its own"
    assert refusal(decided.ledger) == (
        "logs/cycles/second/09-looked.json: does not follow from what is recorded before it: look.level comes out as "
        f"{lost.look.level}; got 0.99; restore logs/cycles from Git, and roll back what was promoted by it"
    )


def screened(**changes: Any) -> Callable[[Decided], Facts]:
    return lambda life: replace(life.last(Screened), **changes)


def looked(**changes: Any) -> Callable[[Decided], Facts]:
    def change(life: Decided) -> Facts:
        said = life.last(Looked)
        assert said.look
        return replace(said, look=replace(said.look, **changes))

    return change


def judged(part: str, **changes: Any) -> Callable[[Decided], Facts]:
    def change(life: Decided) -> Facts:
        said = life.last(Verdict)
        return replace(said, **{part: replace(getattr(said, part), **changes)} if part else changes)

    return change


def bound(life: Decided) -> Facts:
    said = life.last(Verdict)
    return replace(said, criteria=(replace(said.criteria[0], bound=1.0), *said.criteria[1:]))


def fewer(life: Decided) -> Facts:
    said = life.last(Verdict)
    return replace(said, criteria=said.criteria[1:])


@pytest.mark.parametrize(
    ("change", "place", "complaint"),
    [
        (screened(margin=-1.0), "05-screened", "margin comes out as 0.0"),
        (looked(level=0.02), "12-looked", "look.level comes out as 0.00"),
        (looked(e_value=1e12), "12-looked", "look.e_value comes out as "),
        (looked(pairs=3), "12-looked", "look.pairs comes out as 5; got 3"),
        (looked(gain=0.5), "12-looked", "look.gain comes out as 0.066667; got 0.5"),
        (looked(low=0.07), "12-looked", "look.low comes out as "),
        (looked(high=0.07), "12-looked", "look.high comes out as "),
        (judged("child", recall=0.99), "13-verdict", "child.recall comes out as 0.82; got 0.99"),
        (judged("child", tone_drift=0.0), "13-verdict", "child.tone_drift comes out as 0.003; got 0"),
        (judged("control", generalize=0.1), "13-verdict", "control.generalize comes out as 0.5; got 0.1"),
        (judged("", voice=(0.5, 0.5)), "13-verdict", "voice[0] comes out as 0.25; got 0.5"),
        (judged("", weights="0" * 64), "13-verdict", "weights comes out as "),
        (judged("", control=None), "13-verdict", "control comes out as {"),
        (bound, "13-verdict", "criteria[0].bound comes out as "),
        (fewer, "13-verdict", "criteria comes out as [{"),
    ],
)
def test_what_was_doctored_is_named_with_what_it_should_be(
    decided: Decided, change: Callable[[Decided], Facts], place: str, complaint: str
) -> None:
    said = change(decided)
    decided.doctor(said)
    if isinstance(said, Looked):  # which the verdict repeats
        decided.doctor(replace(decided.last(Verdict), look=said.look))
    fold(decided.ledger)
    assert refusal(decided.ledger).startswith(
        f"logs/cycles/first/{place}.json: does not follow from what is recorded before it: {complaint}"
    )


def test_a_rejection_is_computed_again_too(decided: Decided) -> None:
    decided.attempt("second", broken=2)
    said = decided.last(Verdict)
    decided.doctor(replace(said, criteria=(replace(said.criteria[0], value=0.0, passed=True),)))
    assert "criteria[0].value comes out as 2" in refusal(decided.ledger)


def test_a_rechallenge_is_computed_the_other_way_round(decided: Decided) -> None:
    decided.challenge("second")
    forwards = arbiter.look_at(CONTRACT, decided.last(Looked).pairs, 1, 0)
    decided.doctor(replace(decided.last(Looked), look=forwards, standing=forwards.standing))
    assert "logs/cycles/second/04-looked.json: does not follow" in refusal(decided.ledger)


def test_other_words_and_the_last_bit_of_a_logarithm_are_no_difference(decided: Decided) -> None:
    look = decided.last(Looked).look
    assert look
    nearly = replace(look, level=math.nextafter(look.level, 1))
    decided.doctor(replace(decided.last(Looked), look=nearly))
    decided.doctor(replace(decided.last(Verdict), look=nearly, reasons=("In other words",)))
    assert recount(decided.ledger, KNOWN) == Recount(6, 0)


def test_each_decision_is_held_against_the_contract_it_was_made_under(decided: Decided) -> None:
    decided.contract = STRICTER
    decided.attempt("second", LOSSES)
    assert recount(decided.ledger, KNOWN) == Recount(decisions=6, elsewhere=3)
    assert recount(decided.ledger, {**KNOWN, STRICTER.digest: STRICTER}) == Recount(decisions=9, elsewhere=0)
    disguised = {CONTRACT.digest: CONTRACT, STRICTER.digest: CONTRACT}
    with pytest.raises(LedgerError, match=r"second/05-screened.json: .* margin comes out as"):
        recount(decided.ledger, disguised)


def test_nothing_is_promoted_by_what_nobody_can_compute_again(decided: Decided) -> None:
    with pytest.raises(LedgerError, match=r"root/\d+-approved.json: promotes what was decided under a contract"):
        recount(decided.ledger, {})
    decided.contract = STRICTER
    decided.attempt("second", GAINS, GAINS)
    assert decided.last(Verdict).outcome == "accepted"
    with pytest.raises(LedgerError, match=r"second/\d+-approved.json: promotes .* got ffff"):
        recount(decided.ledger, KNOWN)


@pytest.mark.parametrize("knows", [False, True])
def test_a_verdict_is_held_against_the_champions_that_it_follows(knows: bool) -> None:
    """In another clone a better champion may have been promoted meanwhile, and nobody could know."""
    life = Decided()
    life.begin()
    generation = life.start("slow")
    life.look("slow", generation, GAINS, recall=0.82)
    life.train("slow", "attempt", 1)
    life.look("slow", generation, GAINS, recall=0.82, batch=1)
    before = life.ledger[-1].digest
    said = Decided()
    said.ledger = life.ledger.copy()
    verdict = said.verdict("slow", generation)
    assert verdict.outcome == "accepted"
    life.attempt("fast", GAINS, GAINS, recall=0.9)
    now = later(life.ledger[-1].entry.time, 60)
    entry = next_entry(life.ledger, "slow", verdict, "language", CONTRACT.digest, now)
    life.ledger.append(recorded_as(entry if knows else replace(entry, follows=(before,))))
    fold(life.ledger)
    if knows:
        assert "slow/13-verdict.json: does not follow" in refusal(life.ledger)
        assert 'outcome comes out as "rejected"; got "accepted"' in refusal(life.ledger), "its recall is below the best"
    else:
        assert recount(life.ledger, KNOWN).decisions == 10


@pytest.mark.parametrize("score", [1e308, -1e308])
def test_numbers_that_nobody_can_compute_with_are_named(decided: Decided, score: float) -> None:
    decided.attempt("second", LOSSES)
    said = decided.last(Looked)
    pairs = tuple(replace(pair, child=Scores(score, pair.child.generalize, score)) for pair in said.pairs)
    decided.doctor(replace(said, pairs=pairs))
    assert "second/10-verdict.json: can't be computed again from what is recorded" in refusal(decided.ledger)


def test_voices_over_other_classes_are_named(decided: Decided) -> None:
    decided.attempt("second", LOSSES)
    decided.doctor(replace(decided.last(Looked), voice=(0.2, 0.3, 0.5)))
    assert "can't be computed again from what is recorded; got two voices are over different" in refusal(decided.ledger)


def test_more_discoveries_than_hypotheses_are_named() -> None:
    """The fold holds them against the line's own, and an attempt of an earlier line against nothing."""
    life = Decided()
    life.begin()
    generation = life.start("first")
    said = life.look("first", generation, GAINS)
    assert isinstance(said.look, Look)
    life.doctor(replace(said, look=replace(said.look, discoveries=1)))
    with pytest.raises(LedgerError, match="counts more discoveries than its line has"):
        recount(life.ledger, KNOWN)
