"""What the ledger adds up to: compute by month, placebos, predictions, karma and lines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aams.errors import LedgerError
from safety.events import Frozen, Trained
from safety.state import fold

NOVEMBER, DECEMBER = "2026-11-30T23:59:59Z", "2026-12-01T00:00:00Z"


def flops(story: Any) -> dict[str, int]:
    return dict(story.state.month_flops)


def test_compute_is_reserved_when_it_leaves_and_reconciled_when_it_is_back(story: Any) -> None:
    story.open("root", "")
    story.start("root", "baseline", root=True)
    assert flops(story) == {}
    story.record("root", story.say.frozen("root", flops=1000))
    assert flops(story) == {"2026-11": 1000}
    story.record("root", story.say.trained("root", used=300))
    assert flops(story) == {"2026-11": 300}
    assert story.state.open_cycles["root"].reserved_flops == 0


def test_every_batch_is_reserved_and_reconciled_for_itself(line: Any) -> None:
    before = flops(line)["2026-11"]
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    for batch in range(3):
        line.train("third", "attempt", "", batch=batch)
        line.look("third", "G003", "more" if batch < 2 else "proven", batch)
    assert flops(line) == {"2026-11": before + 800 + 3 * 800}


@pytest.mark.parametrize("used", [0, 1000])
def test_what_was_used_may_be_nothing_or_all_that_was_reserved(story: Any, used: int) -> None:
    story.open("root", "")
    story.start("root", "baseline", root=True)
    story.record("root", story.say.frozen("root", flops=1000), story.say.trained("root", used=used))
    assert flops(story) == {"2026-11": used}


@pytest.mark.parametrize("outcome", ["abandoned", "expired"])
def test_what_never_came_back_stays_reserved(line: Any, outcome: Any) -> None:
    before = flops(line)["2026-11"]
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial"), line.say.closed(outcome))
    assert flops(line) == {"2026-11": before + 1000}


def test_an_attempt_that_is_rejected_before_it_came_back_stays_reserved(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    before = flops(line)["2026-11"]
    line.record("third", line.say.frozen("attempt"), line.say.verdict("G003", "more", "rejected"))
    assert flops(line) == {"2026-11": before + 1000}


def test_compute_is_given_back_to_the_month_it_was_taken_from(line: Any) -> None:
    before = flops(line)["2026-11"]
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"))
    line.record("third", line.say.frozen("trial"), at=NOVEMBER)
    line.record("third", line.say.trained("trial", 0, "more", used=100), at=DECEMBER)
    assert flops(line) == {"2026-11": before + 100}
    line.record("third", line.say.screened("more"), at=DECEMBER)
    line.start("third", "more")
    line.record("third", line.say.frozen("attempt"), at=DECEMBER)
    assert flops(line) == {"2026-11": before + 100, "2026-12": 1000}


def test_all_domains_draw_on_one_month(line: Any) -> None:
    before = flops(line)["2026-11"]
    line.domain = "vision"
    line.begin("vision-root", "resnet")
    assert flops(line) == {"2026-11": before + 800}


def test_a_placebo_is_counted_and_never_promoted(line: Any) -> None:
    line.disguise("third", "more", "twin", "rejected")
    line.disguise("fourth", "other", "second twin", "accepted")
    lineage = line.lineage
    assert (lineage.placebos, lineage.false_promotions) == (2, 1)
    assert [item.status for item in lineage.generations[3:]] == ["placebo", "placebo"]
    assert (lineage.attempts, lineage.discoveries) == (4, 2), "placebos are hypotheses like any other"
    assert lineage.champion.generation == "G002"
    assert lineage.ended == "placebo"


@pytest.mark.parametrize("outcome", ["accepted", "rejected"])
def test_the_child_whose_place_a_placebo_took_may_be_tried_again(line: Any, outcome: Any) -> None:
    sha = line.say.sha
    line.screen("third", "more", passed=True)
    line.judge("third", "twin", outcome, placebo=True)
    assert {sha("more"), sha("twin")} <= line.lineage.tried
    line.record("third", line.say.revealed("G003", "third", "twin", placebo=True))
    assert sha("more") not in line.lineage.tried
    assert sha("twin") in line.lineage.tried
    line.record("third", line.say.closed("placebo"))
    line.attempt("fourth", "more", "accepted")
    assert line.head == "G004"


def test_an_attempt_and_a_discovery_count_when_they_happen(line: Any) -> None:
    assert (line.lineage.attempts, line.lineage.discoveries) == (2, 1)
    line.screen("third", "more", passed=True)
    assert line.lineage.attempts == 2
    line.start("third", "more")
    assert (line.lineage.attempts, line.lineage.discoveries) == (3, 1)
    line.train("third", "attempt", "")
    line.look("third", "G003")
    line.record("third", line.verdict("G003", "more", "accepted"))
    assert (line.lineage.attempts, line.lineage.discoveries) == (3, 2)
    line.record("third", line.say.revealed("G003", "third", "more"), line.say.closed("declined"))
    assert (line.lineage.attempts, line.lineage.discoveries) == (3, 2), "declining gives no error budget back"


def test_an_abandoned_attempt_has_spent_its_error_budget(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    line.record("third", line.say.closed("abandoned"))
    assert (line.lineage.attempts, line.lineage.discoveries) == (3, 1)
    assert line.lineage.generations[-1].status == "abandoned"


def test_the_levels_of_attempts_that_were_looked_at_add_up_and_never_fall(line: Any) -> None:
    line.attempt("third", "more", "rejected")
    assert line.lineage.alpha_spent == pytest.approx(3 * 0.0125)
    line.screen("fourth", "other", passed=True)
    line.start("fourth", "other")
    line.train("fourth", "attempt", "")
    line.record("fourth", line.say.verdict("G004", "other", "rejected"))
    assert line.lineage.attempts == 4
    assert line.lineage.alpha_spent == pytest.approx(3 * 0.0125), "what was never tested could not be accepted"


def test_an_attempts_level_is_counted_once_and_from_its_first_look_on(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    for batch in range(3):
        line.train("third", "attempt", "", batch=batch)
        line.look("third", "G003", "more" if batch < 2 else "proven", batch)
        assert line.lineage.alpha_spent == pytest.approx(3 * 0.0125)


@pytest.mark.parametrize(("levels", "spent"), [((0.01, 0.02), 0.045), ((0.02, 0.01), 0.045)])
def test_an_attempt_whose_level_changes_spends_the_larger_one(line: Any, levels: Any, spent: float) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    for batch, level in enumerate(levels):
        line.train("third", "attempt", "", batch=batch)
        looked = line.say.looked("G003", batch, "more", attempt=3)
        line.record("third", replace(looked, look=replace(looked.look, level=level)))
    assert line.lineage.alpha_spent == pytest.approx(spent)


def test_levels_are_spent_on_the_corpus_of_their_attempt(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    line.train("third", "attempt", "")
    line.begin("fresh", "other baseline", "corpus-b")
    assert line.lineage.alpha_spent == 0
    line.record("third", line.say.looked("G003", attempt=3))
    assert line.lineage.alpha_spent == 0, "it was attempted on the corpus before"
    line.attempt("fourth", "more", "rejected")
    assert line.lineage.alpha_spent == pytest.approx(0.0125)
    line.begin("again", "third baseline", "corpus-a")
    assert line.lineage.alpha_spent == pytest.approx(3 * 0.0125)


@pytest.mark.parametrize("outcome", ["declined", "expired"])
def test_an_accepted_generation_that_nobody_approves_is_declined(line: Any, outcome: Any) -> None:
    line.screen("third", "more", passed=True)
    line.judge("third", "more", "accepted")
    assert line.lineage.generations[-1].status == "open"
    line.record("third", line.say.revealed("G003", "third", "more"), line.say.closed(outcome))
    generation = line.lineage.generations[-1]
    assert (generation.status, generation.verdict) == ("declined", "accepted")
    assert (line.head, line.lineage.ended) == ("G002", outcome)
    assert line.say.sha("more") in line.lineage.tried


def test_trials_and_predictions_count_from_the_last_promotion(line: Any) -> None:
    assert (line.lineage.trials, line.lineage.predictions) == (0, ())
    line.trials("third", "more", "other", "third")
    ranked = line.say.ranked({"more": 0.5, "other": 0.49, "third": 0.48}, passed=False)
    line.record("third", ranked, line.say.closed("screened-out"))
    assert (line.lineage.trials, line.lineage.predictions) == (3, ())
    line.screen("fourth", "fourth", passed=True, predicted=0.03)
    line.decide("fourth", "fourth", "rejected")
    assert (line.lineage.trials, line.lineage.predictions) == (4, ((0.03, 0.02),))
    line.attempt("fifth", "fifth", "accepted")
    assert (line.lineage.trials, line.lineage.predictions) == (0, ())


def test_controls_and_attempts_are_no_trials(line: Any) -> None:
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial"))
    trained = line.say.trained("trial", 0, "more", "better")
    child, control = trained.runs
    line.record("third", replace(trained, runs=(child, replace(control, arm="control"))))
    assert line.lineage.trials == 1
    line.record("third", line.say.screened("more"))
    line.start("third", "more")
    line.train("third", "attempt", "")
    assert line.lineage.trials == 1


def test_a_trial_that_did_not_finish_earns_nothing(line: Any) -> None:
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial"))
    line.record("third", line.say.trained("trial", 0, "more", status="failed"))
    assert line.lineage.trials == 0
    assert line.say.sha("more") in line.lineage.tried


def test_trials_of_an_earlier_champions_children_earn_nothing(line: Any) -> None:
    line.open("late", "G002")
    line.record("late", line.say.proposed("more"), line.say.frozen("trial"))
    line.attempt("third", "other", "accepted")
    line.record("late", line.say.trained("trial", 0, "more"))
    assert line.lineage.trials == 0


@pytest.mark.parametrize("changed", [{"attempt": 2}, {"attempt": 4}, {"discoveries": 2}])
def test_a_look_by_other_counters_than_the_ledgers_is_refused(line: Any, changed: dict[str, int]) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    line.train("third", "attempt", "")
    looked = line.say.looked("G003", attempt=3)
    line.record("third", replace(looked, look=replace(looked.look, **changed)))
    with pytest.raises(LedgerError, match=r"09-looked.*(attempt should be 3|counts more discoveries)"):
        _ = line.state


def test_a_line_that_comes_back_to_a_corpus_goes_on_spending_its_error_budget(line: Any) -> None:
    line.begin("fresh", "other baseline", "corpus-b")
    line.begin("again", "third baseline", "corpus-a")
    assert (line.lineage.attempts, line.lineage.discoveries) == (2, 1)
    line.attempt("next", "more", "rejected")
    assert line.lineage.generations[-1].hypothesis == 3


def test_a_placebo_was_not_predicted(line: Any) -> None:
    line.disguise("third", "more", "twin", "rejected")
    assert line.lineage.predictions == ()


def test_what_a_budget_stopped_may_be_tried_again(line: Any) -> None:
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial"))
    line.record("third", line.say.trained("trial", 0, "more", status="stopped"))
    assert line.say.sha("more") not in line.lineage.tried
    assert line.say.sha("") not in line.lineage.tried
    assert "" not in line.lineage.tried


def test_a_child_that_passed_the_screen_and_was_only_explored_may_be_tried_again(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.record("third", line.say.closed("explored"))
    assert line.say.sha("more") not in line.lineage.tried
    assert line.lineage.ended == "explored"
    before = line.lineage.tried
    line.screen("fourth", "more", passed=False)
    assert line.lineage.tried == before | {line.say.sha("more")}


def test_promises_are_kept_until_their_cycle_is_closed(line: Any) -> None:
    line.trials("third", "more", predicted=0.5)
    assert line.state.promised == {"third": {line.say.sha("more"): 0.5}}
    line.record("third", line.say.closed("abandoned"))
    assert line.state.promised == {}


def test_a_new_root_resets_the_error_budget_but_not_the_placebos(line: Any) -> None:
    line.disguise("third", "more", "twin", "accepted")
    line.begin("fresh", "other baseline", "corpus-b", recall=0.4)
    lineage = line.lineage
    assert (lineage.corpus, lineage.root.generation, lineage.best_recall) == ("corpus-b", "G004", 0.4)
    assert (lineage.attempts, lineage.discoveries) == (0, 0)
    assert (lineage.placebos, lineage.false_promotions) == (1, 1)
    assert lineage.tried == {line.say.sha("other baseline")}
    assert lineage.next_generation == "G005"


def test_a_root_that_is_not_approved_resets_nothing(line: Any) -> None:
    before = line.lineage
    line.open("fresh", "", "corpus-b")
    line.judge("fresh", "other baseline", "accepted", root=True)
    line.record("fresh", line.say.closed("declined"))
    after = line.lineage
    assert (after.corpus, after.champion, after.root) == (before.corpus, before.champion, before.root)
    assert (after.attempts, after.discoveries) == (before.attempts, before.discoveries) == (2, 1)


def test_an_attempt_of_an_earlier_line_gives_the_new_one_no_discovery(line: Any) -> None:
    line.screen("third", "more", passed=True)
    line.start("third", "more")
    line.train("third", "attempt", "")
    line.begin("fresh", "other baseline", "corpus-b")
    line.record("third", line.say.looked("G003", attempt=3))
    line.record("third", line.verdict("G003", "more", "accepted"))
    assert (line.lineage.discoveries, line.lineage.predictions) == (0, ())
    line.record("third", line.say.revealed("G003", "third", "more"), line.say.approved("G003", "G004"))
    with pytest.raises(LedgerError, match="parent should be G004; got G002"):
        _ = line.state


def test_the_time_is_that_of_the_newest_entry(line: Any) -> None:
    assert line.state.time == line.ledger[-1].entry.time == "2026-11-21T01:03:00Z"
    assert fold(line.ledger[:1]).time == "2026-11-21T01:01:00Z"


def test_more_compute_than_was_reserved_is_refused(line: Any) -> None:
    line.open("third", "G002")
    line.record("third", line.say.proposed("more"), line.say.frozen("trial", flops=100))
    for used in (101, -1):
        with pytest.raises(LedgerError, match=f"used other compute than was reserved; got {used} of 100 FLOPs"):
            fold((*line.ledger, _next(line, line.say.trained("trial", used=used))))


def _next(line: Any, facts: Frozen | Trained) -> Any:
    before = line.recorded
    recorded = line.record("third", facts)
    line.recorded = before
    return recorded
