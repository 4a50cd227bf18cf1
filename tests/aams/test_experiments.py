from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from aams.canonical import to_data
from aams.errors import AamsError
from aams.experiments import OUTCOMES, Archived, Experiment, experiments, read_archive
from aams.experiments.rows import _interval
from aams.records import Cost, Finding, Scores
from aams.views import experiments as view_rows
from safety.events import Closed, Ending, Facts, Looked, Proposed, Refusal, RunSummary, Trained, TrialScore, Verdict
from safety.ledger import read_ledger
from safety.lineage import Status

WITHOUT_A_TRIAL = {"rolled-back", "explored", "nothing-to-try"}
COST = Cost(1000, 2, 6, 0, 32, 192, 4, 16)


def told(tell: Any, *cycles: list[Facts]) -> list[Experiment]:
    return experiments(tell.first_and(*cycles), {})


def of_stage(rows: Iterable[Experiment], stage: str) -> list[Experiment]:
    return [row for row in rows if row.stage == stage]


def test_an_empty_ledger_has_no_experiments() -> None:
    assert experiments([], {}) == []


def test_a_cycle_is_a_row_for_each_trial_and_one_for_its_attempt(tell: Any) -> None:
    root, trial, attempt = told(tell, tell.whole_cycle("G001"))
    assert (root.stage, root.generation, root.outcome, root.runs, root.pairs) == ("root", "G000", "accepted", 1, None)
    assert (trial.stage, trial.generation, trial.outcome, trial.cycle) == ("trial", None, "chosen", attempt.cycle)
    assert (attempt.stage, attempt.generation, attempt.parent, attempt.outcome) == (
        *("attempt", "G001", "G000", "accepted"),
    )
    assert (attempt.spec, attempt.parent_spec, attempt.placebo) == (tell.SPEC, tell.BASE, False)
    assert (trial.operators, trial.paths, trial.before, trial.after) == ("widen", "model.width", "[128]", "[192]")
    assert (trial.parameters, trial.step_flops, trial.memory_bytes) == (1000, 192, 20)
    assert (trial.opened, trial.closed) == (attempt.opened, attempt.closed)
    assert trial.rationale == tell.HOSTILE


def test_numbers_are_those_of_the_views(tell: Any) -> None:
    rejected = tell.whole_cycle("G002", course="rejected", parent="G001")
    ledger = tell.first_and(tell.whole_cycle("G001", batches=3), rejected)
    rows, views = experiments(ledger, {}), {row["cycle"]: row for row in view_rows(ledger)}
    attempts = of_stage(rows, "attempt")
    assert len(attempts) == 2
    for row in attempts:
        view = views[row.cycle]
        scores = {name: getattr(row, name) for name in view["scores"]}
        assert scores == view["scores"]
        assert row.control_generalize == view["control_scores"]["generalize"]
        assert (row.outcome, row.reasons, row.generation) == (view["outcome"], view["reason"], view["generation"])
        look = view["look"]
        assert (row.pairs, row.e_value, row.gain) == (look["pairs"], look["e_value"], look["gain"])
        assert (row.gain_low, row.gain_high, row.standing) == (look["low"], look["high"], look["standing"])
        assert row.evidence_needed == pytest.approx(1 / look["level"])
        assert (row.bundle_cpu_s, row.bundle_wall_s) == (
            view["cpu_s"] - 1.25,
            view["wall_s"] - 2.5,
        ), "all but the trials' bundle"
    for row in of_stage(rows, "trial"):
        assert row.validation == views[row.cycle]["children"][0]["validation"]
        assert row.control_validation == views[row.cycle]["control_validation"]


def test_only_pairs_that_the_test_used_count(tell: Any) -> None:
    events = tell.whole_cycle("G001", 0.6)
    at = next(index for index, facts in enumerate(events) if isinstance(facts, Looked))
    looked = events[at]
    late = tuple(replace(pair, child=Scores(0, 0, 0)) if pair.pair == 3 else pair for pair in looked.pairs)
    look = replace(looked.look, pairs=3)
    events[at] = replace(looked, pairs=late, look=look)
    events = [replace(facts, look=look) if isinstance(facts, Verdict) else facts for facts in events]
    row = of_stage(told(tell, events), "attempt")[0]
    assert (row.runs, row.pairs) == (3, 3)
    assert row.difference == pytest.approx(0.02)
    assert row.difference_sd == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("course", "outcome"), [("rejected", "rejected"), ("placebo", "placebo"), ("declined", "declined")]
)
def test_how_an_attempt_ended_is_told(course: Any, outcome: str, tell: Any) -> None:
    rows = told(tell, tell.whole_cycle("G001", course=course))
    assert [row.outcome for row in of_stage(rows, "attempt")] == [outcome]


def test_a_placebo_is_none_of_the_children_and_has_no_change(tell: Any) -> None:
    row = of_stage(told(tell, tell.whole_cycle("G001", course="placebo")), "attempt")[0]
    assert (row.spec, row.placebo, row.operators, row.rationale, row.parameters) == (tell.PLACEBO, True, *[None] * 3)


def test_before_its_verdict_an_attempt_does_not_tell_its_spec(tell: Any) -> None:
    events = tell.whole_cycle("G001")
    until = next(index for index, facts in enumerate(events) if isinstance(facts, Looked)) + 1
    row = of_stage(told(tell, events[:until]), "attempt")[0]
    assert (row.outcome, row.spec, row.operators, row.parameters, row.used_flops) == ("open", *[None] * 4)
    assert (row.pairs, row.generalize, row.placebo) == (4, None, None)
    assert of_stage(told(tell, events[:-2]), "attempt")[0].outcome == "waiting"


def test_an_attempt_took_what_it_was_accounted_with_as_its_steps_are_not_told(tell: Any) -> None:
    events = tell.whole_cycle("G001")
    at = next(index for index, facts in enumerate(events) if isinstance(facts, Trained) and facts.stage == "attempt")
    unknown: Any = [None] * 5
    sealed = RunSummary("child-0", "child", 0, "", "finished", "", *unknown, 0, None, None, ())
    control = RunSummary("control-0", "control", 0, tell.BASE, "finished", "", 4, 16, 0.5, 2.0, 2.0, 0, 0.1, 9, ())
    events[at] = replace(events[at], runs=(sealed, control))
    assert of_stage(told(tell, events), "attempt")[0].used_flops == 900 // 2


def test_trials_say_how_they_ended_and_what_they_took(tell: Any) -> None:
    events = tell.searched("G000")
    proposed, trained, screened = events[1], events[3], events[4]
    second = replace(proposed.children[0], spec="9" * 64)
    run = RunSummary("child-0", "child", 0, tell.SPEC, "finished", "", 50, 1600, 0.52, 2.0, 2.0, 0, 0.1, 1000, ())
    lost = replace(run, name="child-1", pair=1, spec="9" * 64, status="dropped", reason="rung 25 %", steps=10)
    refusal = Refusal("8" * 64, (Finding("budget", "spec", "too many parameters", "9", "fewer"),))
    events[1] = Proposed((proposed.children[0], second), (refusal,))
    events[3] = replace(trained, runs=(run, lost), fingerprint="6" * 64)
    events[4] = replace(screened, passed=False, scores=(TrialScore(tell.SPEC, 0.502), TrialScore("9" * 64, None)))
    chosen, dropped, refused = told(tell, [*events, Closed("screened-out", "not enough")])[1:]
    assert (chosen.outcome, chosen.reasons, chosen.used_flops) == ("screened-out", "not enough", 50 * 192)
    assert (dropped.outcome, dropped.reasons, dropped.used_flops) == ("dropped", "rung 25 %", 10 * 192)
    assert (refused.outcome, refused.spec) == ("refused", "8" * 64)
    assert refused.reasons == "budget: too many parameters: 9"
    rows = experiments(tell.first_and(events[:3]), {})
    assert [row.outcome for row in rows[1:]] == ["open", "open", "refused"]


def test_a_device_is_known_by_its_fingerprint(tell: Any) -> None:
    archive = {("language", "G000"): Archived(COST, "7" * 64, "cpu")}
    rows = experiments(tell.first_and(tell.whole_cycle("G001")), archive)
    assert {row.device for row in rows} == {"cpu"}
    assert (rows[0].parameters, rows[0].step_flops) == (1000, 192)
    other = {("language", "G000"): Archived(COST, "1" * 64, "cpu")}
    assert {row.device for row in experiments(tell.first_and(), other)} == {None}


def test_a_rechallenge_is_a_row_of_its_own(tell: Any) -> None:
    whole = tell.whole_cycle("G001")
    looked = next(facts for facts in whole if isinstance(facts, Looked))
    again = [
        replace(tell.opened("G001"), planner="rechallenge"),
        *tell.bundle("rechallenge", 0, "G001"),
        replace(looked, look=replace(looked.look, standing="futile"), standing="futile"),
    ]
    row = told(tell, whole, [*again, Closed("confirmed", "G001 stands")])[-1]
    assert (row.stage, row.outcome, row.generation, row.parent) == ("rechallenge", "confirmed", "G001", "G000")
    assert (row.spec, row.parent_spec) == (tell.SPEC, tell.BASE)
    assert row.difference == pytest.approx(0.02)


def test_every_way_to_end_is_an_outcome() -> None:
    assert {*get_args(Ending), *get_args(Status)} - WITHOUT_A_TRIAL <= set(OUTCOMES)


def test_what_is_missing_is_none_and_never_an_empty_text(tell: Any) -> None:
    for row in told(tell, tell.whole_cycle("G001"), tell.nothing_tried(3, "G001")):
        assert "" not in [getattr(row, field.name) for field in dataclasses.fields(row)]


def test_the_archive_adds_cost_and_device(recorded_lab: Path) -> None:
    ledger = read_ledger(recorded_lab)
    archive = read_archive(recorded_lab, ledger)
    assert set(archive) == {("language", "G000"), ("language", "G001")}
    assert {(one.cost, one.device) for one in archive.values()} == {(COST, "cpu")}
    assert of_stage(experiments(ledger, archive), "root")[0].parameters == COST.parameters


def test_a_missing_or_damaged_archive_is_named(recorded_lab: Path, tmp_path: Path) -> None:
    ledger = read_ledger(recorded_lab)
    with pytest.raises(AamsError, match=r"G000-20261121-010000/metrics\.json: can't be read"):
        read_archive(tmp_path, ledger)
    place = tmp_path / "specs" / "history" / "language" / "G000-20261121-010000"
    place.mkdir(parents=True)
    (place / "metrics.json").write_text('{"cost": {"parameters": "many"}}', encoding="ascii")
    with pytest.raises(AamsError, match=r"metrics\.json: cost"):
        read_archive(tmp_path, ledger)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_the_interval_is_students(values: list[float]) -> None:
    low, high = _interval(values)
    mean, error = math.fsum(values) / len(values), stdev(values) / math.sqrt(len(values))
    assert low is not None and high is not None
    width = t.ppf(0.975, len(values) - 1) * error
    assert (low, high) == pytest.approx((mean - width, mean + width), abs=1e-9)


def test_a_single_run_has_no_interval() -> None:
    assert _interval([0.5]) == (None, None)


def test_a_row_is_plain_data(tell: Any) -> None:
    for row in told(tell, tell.whole_cycle("G001")):
        json.dumps(to_data(row), allow_nan=False)
        assert {type(value) for value in to_data(row).values()} <= {str, int, float, bool, type(None)}
