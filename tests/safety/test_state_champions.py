"""What becomes of a champion in the fold: it is rolled back from, tested again, or outdone."""

from __future__ import annotations

from typing import Any

import pytest

from aams.errors import LedgerError
from safety.lifecycle import RECHALLENGE
from tests.safety.test_state_counters import flops


def test_a_rollback_moves_the_head_back_and_keeps_what_was_achieved(line: Any) -> None:
    line.trials("third", "more")
    line.record("third", line.say.closed("abandoned"))
    tried = line.lineage.tried
    line.roll_back("back", "G000")
    lineage = line.lineage
    assert (lineage.champion.generation, lineage.root.generation) == ("G000", "G000")
    assert lineage.champion.since == line.now
    assert lineage.champion.fitness.recall == 0.8
    assert lineage.best_recall == 0.85, "a rollback forgets no achievement"
    assert (lineage.attempts, lineage.discoveries, lineage.tried) == (2, 1, tried)
    assert (lineage.trials, lineage.predictions, lineage.ended) == (0, (), "rolled-back")
    assert [item.status for item in lineage.generations] == ["accepted", "rejected", "accepted"]
    assert lineage.next_generation == "G003"
    line.roll_back("forth", "G002")
    assert line.head == "G002"
    line.roll_back("back-again", "G000")
    line.attempt("fourth", "fourth", "accepted", recall=0.8)
    assert [item.parent for item in line.lineage.generations] == ["", "G000", "G000", "G000"]


@pytest.mark.parametrize("standing", ["futile", "undecided", "proven"])
def test_a_re_challenge_is_remembered_and_spends_no_error_budget(line: Any, standing: Any) -> None:
    before = line.lineage
    line.challenge("again", standing)
    after = line.lineage
    assert (after.retested, after.retest.standing) == (line.now, standing)
    assert (after.attempts, after.discoveries, after.next_generation) == (2, 1, "G003")
    assert (after.champion, after.trials, after.predictions) == (before.champion, before.trials, before.predictions)
    assert after.ended == ("outdone" if standing == "proven" else "confirmed")
    assert flops(line) == {"2026-11": 6 * 800}


def test_a_re_challenge_that_asks_for_more_has_found_nothing_yet(line: Any) -> None:
    line.record("again", line.say.opened("G002", planner=RECHALLENGE), line.say.frozen("rechallenge"))
    line.record("again", line.say.trained("rechallenge", 0, "better"), line.say.looked("G002", standing="more"))
    assert (line.lineage.retested, line.lineage.retest) == ("", None)


def test_a_champion_stays_outdone_until_somebody_decides_what_follows(line: Any) -> None:
    for standing in ("futile", "undecided"):
        line.challenge(f"stands {standing}", standing)
        assert not line.lineage.outdone
    line.challenge("falls", "proven")
    line.screen("other", "more", passed=False)
    assert line.lineage.outdone, "an exploration decides nothing about it"
    line.open("back", "G002")
    line.record("back", line.say.recalled("G000"))
    assert line.lineage.outdone
    line.record("back", line.say.closed("expired"))
    assert line.lineage.outdone, "nobody decided"
    line.open("back once more", "G002")
    line.record("back once more", line.say.recalled("G000"))
    declined = line.lineage
    line.record("back once more", line.say.closed("declined"))
    assert (line.lineage.outdone, line.lineage.champion) == (False, declined.champion)
    line.challenge("falls again", "proven")
    line.challenge("stands after all", "futile")
    assert not line.lineage.outdone
    line.challenge("falls at last", "proven")
    line.roll_back("back again", "G000")
    assert not line.lineage.outdone


def test_a_re_challenge_that_ends_after_its_champion_was_replaced_outdoes_nobody(line: Any) -> None:
    line.record("again", line.say.opened("G002", planner=RECHALLENGE), line.say.frozen("rechallenge"))
    line.record("again", line.say.trained("rechallenge", 0, "better"), line.say.looked("G002", standing="proven"))
    line.attempt("third", "more", "accepted")
    line.record("again", line.say.closed("outdone"))
    assert not line.lineage.outdone


def test_a_promotion_and_a_rollback_forget_the_last_re_challenge(line: Any) -> None:
    line.challenge("again")
    line.attempt("third", "more", "accepted")
    assert (line.lineage.retested, line.lineage.retest) == ("", None)
    line.challenge("once more", "proven")
    line.roll_back("back", "G002")
    assert (line.lineage.retested, line.lineage.retest) == ("", None)


def test_a_re_challenge_of_a_champion_of_the_past_is_refused(line: Any) -> None:
    line.record("again", line.say.opened("G002", planner=RECHALLENGE), line.say.frozen("rechallenge"))
    line.record("again", line.say.trained("rechallenge", 0, "better"))
    line.attempt("third", "more", "accepted")
    line.record("again", line.say.looked("G002", standing="futile"))
    with pytest.raises(LedgerError, match="generation should be G003; got G002"):
        _ = line.state


def test_a_rollback_waits_for_its_second_key(line: Any) -> None:
    line.open("back", "G002")
    line.record("back", line.say.recalled("G000"))
    assert line.head == "G002"
    assert line.state.open_cycles["back"].recalled == "G000"
    line.record("back", line.say.closed("declined"))
    assert (line.head, line.lineage.ended) == ("G002", "declined")


@pytest.mark.parametrize(
    ("generation", "complaint"),
    [
        ("G001", "names a generation that is not accepted; got G001"),
        ("G003", "names a generation that is not accepted; got G003"),
        ("", "names a generation that is not accepted"),
        ("G002", "recalls what is no earlier champion of the present line; got G002"),
    ],
)
def test_only_an_earlier_champion_can_be_recalled(line: Any, generation: str, complaint: str) -> None:
    line.open("back", "G002")
    line.record("back", line.say.recalled(generation))
    with pytest.raises(LedgerError, match=complaint):
        _ = line.state


def test_a_champion_of_an_earlier_line_is_not_recalled(line: Any) -> None:
    line.begin("fresh", "other baseline", "corpus-b")
    line.attempt("third", "more", "accepted")
    line.open("back", "G004")
    line.record("back", line.say.recalled("G002"))
    with pytest.raises(LedgerError, match="recalls what is no earlier champion of the present line; got G002"):
        _ = line.state


def test_a_rollback_from_a_champion_of_the_past_is_refused(line: Any) -> None:
    line.open("back", "G002")
    line.record("back", line.say.recalled("G000"))
    line.attempt("third", "more", "accepted")
    line.record("back", line.say.approved("G000", "G003"))
    with pytest.raises(LedgerError, match="parent should be G003; got G002"):
        _ = line.state
