from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.errors import AamsError, LedgerError
from safety.events import Attempted, Closed, Frozen, Opened, Proposed, Trained, facts_of
from safety.ledger import next_entry, recorded_as
from safety.state import State, add, fold


def sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def test_an_empty_ledger_folds_to_nothing() -> None:
    assert fold(()) == State({}, {}, {}, {}, {}, "")


def test_the_champion_is_the_last_accepted_generation(lab: Any) -> None:
    lineage = lab.state.lineages["language"]
    assert lineage.champion.generation == "G002"
    assert lineage.champion.spec == sha("better")
    assert lineage.champion.fitness.recall == 0.85
    assert lineage.champion.weights == sha("weights of better")
    assert lineage.root.generation == "G000"
    assert lineage.corpus == "corpus-a"
    assert lineage.next_generation == "G003"


def test_every_attempt_is_a_generation_with_its_status(lab: Any) -> None:
    generations = lab.state.lineages["language"].generations
    assert [(item.name, item.status, item.parent) for item in generations] == [
        ("G000", "accepted", ""),
        ("G001", "rejected", "G000"),
        ("G002", "accepted", "G000"),
    ]
    assert generations[1].directory == "G001-20261121-010200"


def test_what_was_trained_was_tried_and_best_ever_is_remembered(lab: Any) -> None:
    lineage = lab.state.lineages["language"]
    assert lineage.tried == {sha(name) for name in ("baseline", "wider", "deeper", "better")}
    lab.attempt("fourth", "worse", "accepted", recall=0.81)
    assert lab.state.lineages["language"].best_recall == 0.85


def test_a_cycle_is_open_until_it_is_closed(lab: Any) -> None:
    assert lab.state.open_cycles == {}
    lab.screen("fourth", "more", passed=True)
    lab.start("fourth", "more")
    cycle = lab.state.open_cycles["fourth"]
    assert (cycle.event, cycle.generation, cycle.verdict) == ("attempted", "G003", "")
    lab.record("fourth", Closed("abandoned", "the trainer was killed"))
    assert lab.state.open_cycles == {}
    assert lab.state.lineages["language"].generations[-1].status == "abandoned"
    assert lab.state.lineages["language"].champion.generation == "G002"


def test_domains_do_not_touch_each_other(lab: Any) -> None:
    vision = type(lab)(lab.root, "vision")
    vision.minute = 30
    vision.open("vision-root", "")
    vision.record("vision-root", Attempted("G000", ""))
    vision.train("vision-root", "root", "resnet")
    assert vision.state.lineages["language"].champion.generation == "G002"
    assert vision.state.lineages["vision"].champion is None
    assert vision.state.lineages["vision"].next_generation == "G001"


def test_a_new_root_begins_a_new_line_and_counts_on(lab: Any) -> None:
    lab.begin("fresh", "other baseline", "corpus-b", recall=0.4)
    lineage = lab.state.lineages["language"]
    assert (lineage.champion.generation, lineage.root.generation, lineage.best_recall) == ("G003", "G003", 0.4)
    assert lineage.tried == {sha("other baseline")}


def test_a_root_on_the_corpus_of_its_line_would_be_held_against_nothing(lab: Any) -> None:
    lab.open("fresh", "")
    lab.record("fresh", Attempted("G003", ""))
    with pytest.raises(LedgerError, match=r"fresh/02-attempted.*begins a line on the corpus that it has; got corpus-a"):
        _ = lab.state


def test_a_root_that_waited_while_another_began_its_line_is_not_approved(lab: Any) -> None:
    lab.open("late", "", "corpus-b")
    lab.record("late", Attempted("G003", ""))
    lab.train("late", "root", "other baseline")
    lab.record("late", lab.say.looked("G003", root=True), lab.verdict("G003", "other baseline", "accepted", root=True))
    lab.begin("fresh", "third baseline", "corpus-b")
    lab.record("late", lab.say.approved("G003", "G004"))
    with pytest.raises(LedgerError, match=r"late/\d+-approved.*begins a line on the corpus that it has"):
        _ = lab.state


def test_a_child_stays_on_the_corpus_of_its_champion(lab: Any) -> None:
    lab.open("fourth", lab.head, "corpus-of-easy-words")
    lab.record("fourth", lab.say.proposed("more"))
    lab.train("fourth", "trial", "more")
    lab.record("fourth", lab.say.screened("more"), lab.say.attempted("G003", "fourth", "more"))
    with pytest.raises(LedgerError, match=r"fourth/.*attempted.*leaves the corpus of its line; got corpus-of-easy"):
        _ = lab.state


def test_equal_ledgers_fold_to_equal_states(lab: Any) -> None:
    assert fold(lab.ledger) == fold(list(lab.ledger))


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (Proposed((), ()), "is out of turn; got proposed after attempted"),
        (
            Opened(7, "mutate-champion", "person", "G002", "corpus-a", "", ""),
            "is out of turn; got opened after attempted",
        ),
        (Attempted("G004", "a" * 64), "is out of turn; got attempted after attempted"),
        (Closed("accepted", ""), "closes otherwise than its verdict; got accepted where no verdict was"),
    ],
)
def test_an_event_out_of_turn_is_refused(lab: Any, facts: Any, complaint: str) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.start("fourth", "more")
    lab.record("fourth", facts)
    with pytest.raises(LedgerError, match=complaint) as refusal:
        _ = lab.state
    assert refusal.value.problems[0].file.startswith("logs/cycles/fourth/")


@pytest.mark.parametrize("generation", ["G000", "G002", "G004", "", "../G003"])
def test_a_generation_number_is_given_once_and_in_order(lab: Any, generation: str) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.record("fourth", Attempted(generation, sha("more")))
    with pytest.raises(LedgerError, match="generation should be G003"):
        _ = lab.state


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"generation": "G002"}, "is about another generation than G003; got G002"),
        ({"child": None}, "is by another look than was taken"),
        ({"child": None, "look": None}, "accepts a child without scores or weights"),
        ({"weights": ""}, "accepts a child without scores or weights"),
        ({"criteria": ()}, "accepts a child that failed a criterion; got no criteria"),
        ({"look": None}, "is by another look than was taken"),
    ],
)
def test_a_verdict_that_contradicts_the_ledger_is_refused(lab: Any, change: dict[str, Any], complaint: str) -> None:
    lab.screen("fourth", "more", passed=True)
    lab.start("fourth", "more")
    lab.train("fourth", "attempt", "")
    lab.look("fourth", "G003")
    lab.record("fourth", replace(lab.verdict("G003", "more", "accepted", 0.9), **change))
    with pytest.raises(LedgerError, match=complaint):
        _ = lab.state


@pytest.mark.parametrize("name", ["nonce", "manifest"])
def test_a_nonce_and_a_manifest_are_one_bundles_alone(line: Any, name: str) -> None:
    before = next(facts for facts in map(facts_of, (entry for entry, _ in line.ledger)) if isinstance(facts, Frozen))
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"))
    taken = replace(line.say.own("third", line.say.frozen("trial")), **{name: getattr(before, name)})
    entry = next_entry(line.ledger, "third", taken, "language", line.ledger[0].entry.contract, line.now)
    with pytest.raises(LedgerError, match=f"03-frozen.json: has the {name} of another bundle"):
        add(line.state, recorded_as(entry))


def test_a_verdict_about_another_spec_is_found_out_when_it_is_revealed(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    line.train("third", "attempt", "")
    line.look("third", "G003")
    line.record("third", line.verdict("G003", "other", "accepted"))
    line.record("third", line.say.revealed("G003", "third", "more"))
    with pytest.raises(LedgerError, match="reveals another child than the verdict is about"):
        _ = line.state


@pytest.mark.parametrize(
    ("outcome", "change", "complaint"),
    [
        ("accepted", {"head_before": "G000"}, "head_before should be G002; got G000"),
        ("accepted", {"head_before": ""}, "head_before should be G002; got empty"),
        ("accepted", {"head_after": "G000"}, "approves another generation than was decided"),
        ("accepted", {"generation": "G001", "head_after": "G001"}, "approves another generation than was decided"),
        ("rejected", {}, "approves what the arbiter did not accept; got rejected"),
    ],
)
def test_an_approval_that_contradicts_the_ledger_is_refused(
    line: Any, outcome: Any, change: dict[str, Any], complaint: str
) -> None:
    line.screen("third", "more", passed=True)
    line.judge("third", "more", outcome)
    line.record("third", line.say.revealed("G003", "third", "more"))
    line.record("third", replace(line.say.approved("G003", "G002"), **change))
    with pytest.raises(LedgerError, match=complaint):
        _ = line.state


def test_of_two_cycles_side_by_side_only_the_first_can_be_approved(line: Any) -> None:
    for cycle, spec in (("left", "more"), ("right", "other")):
        line.screen(cycle, spec, passed=True)
        line.judge(cycle, spec, "accepted")
        line.record(cycle, line.say.revealed(line.lineage.generations[-1].name, cycle, spec))
    line.record("left", line.say.approved("G003", "G002"))
    assert line.head == "G003"
    line.record("right", line.say.approved("G004", "G003"))
    with pytest.raises(LedgerError, match="parent should be G003; got G002"):
        _ = line.state


def test_a_verdict_needs_an_attempt(lab: Any) -> None:
    lab.screen("fourth", "more", passed=True)
    verdict = facts_of(next(entry for entry, _ in lab.ledger if entry.event == "verdict"))
    lab.record("fourth", replace(verdict, generation="G003"))
    with pytest.raises(LedgerError, match="is out of turn; got verdict after screened"):
        _ = lab.state


def test_an_attempt_from_a_champion_of_the_past_is_refused(lab: Any) -> None:
    lab.open("fourth", "G000")
    lab.record("fourth", lab.say.proposed("more"))
    lab.train("fourth", "trial", "more")
    lab.record("fourth", lab.say.screened("more"), Attempted("G003", sha("more")))
    with pytest.raises(LedgerError, match="parent should be G002; got G000"):
        _ = lab.state


def test_a_cycle_stays_in_its_domain(lab: Any, tmp_path: Path) -> None:
    lab.open("fourth", "G002")
    lab.domain = "vision"
    lab.record("fourth", Proposed((), ()))
    with pytest.raises(LedgerError, match="belongs to another domain"):
        _ = lab.state


def test_facts_of_another_event_are_refused(lab: Any) -> None:
    entry = next(entry for entry, _ in lab.ledger if entry.event == "trained")
    assert isinstance(facts_of(entry), Trained)
    with pytest.raises(AamsError, match="unknown key"):
        facts_of(replace(entry, event="closed"))
    with pytest.raises(LedgerError, match="is not an event of the ledger; got trial"):
        facts_of(replace(entry, event="trial"))


def test_a_child_that_was_dropped_was_tried_and_its_trial_counts(line: Any) -> None:
    before = line.lineage.trials
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial"))
    line.record("third", line.say.trained("trial", 0, "more", status="dropped"))
    assert line.say.sha("more") in line.lineage.tried
    assert line.lineage.trials == before + 1
