from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aams.views import compile_views
from aams.views.logs import LINEAGE_COLUMNS
from safety.events import Attempted
from safety.seal import seal


def test_every_transition_is_logged_in_order(tell: Any, read: Any) -> None:
    log = read.rows(compile_views(tell.first_and(tell.whole_cycle("G001", batches=2))), "logs/evolution_log.jsonl")
    training = ["MANIFEST_FROZEN", "TRAIN_START", "TRAIN_COMPLETE", "EVAL_COMPLETE"]
    end = ["ARBITER_VERIFY", "ARCHIVE", "COMMIT"]
    assert [line["action"] for line in log[:8]] == ["PROPOSE", *training, *end]
    assert [line["action"] for line in log[8:]] == ["PROPOSE", *training, *training, *training, *end]
    assert [line["generation"] for line in log] == [""] + ["G000"] * 7 + [""] * 5 + ["G001"] * 11
    stages = [line["stage"] for line in log if line["action"] == "EVAL_COMPLETE"]
    assert stages == ["root", "trial", "attempt", "attempt"]
    rejected = tell.first_and(
        tell.whole_cycle("G001", course="rejected"), tell.nothing_tried(1), tell.whole_cycle("G002", course="declined")
    )
    log = read.rows(compile_views(rejected), "logs/evolution_log.jsonl")
    ends = [(line["cycle"], line["head_updated"]) for line in log if line["action"] in ("REJECT", "COMMIT")]
    assert ends == [("root", True), *((f"cycle-{index}", False) for index in (1, 2, 3))], "a rejection is logged once"


def test_json_views_are_strict_ascii_and_a_row_is_a_line(tell: Any, read: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001", reason=tell.HOSTILE)))
    for name, content in views.items():
        assert content.endswith(b"\n")
        if name.endswith((".json", ".jsonl")):
            assert content.isascii()
            assert all(read.json(line) is not None for line in content.splitlines()), name


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(start: str, tell: Any, read: Any) -> None:
    _, row = read.lineage(compile_views(tell.first_and(tell.whole_cycle("G001", reason=f"{start}1+cmd|' /C calc'!A0"))))
    assert row["reason"][0] not in "=+-@\t\r" and "1+cmd" in row["reason"]
    assert row["tone_drift"] == "-0.01", "a negative number is a number"


def test_a_cell_with_quotes_commas_and_newlines_comes_back_whole(tell: Any, read: Any) -> None:
    _, row = read.lineage(compile_views(tell.first_and(tell.whole_cycle("G001", reason='a "b", c\nd'))))
    assert row["reason"] == 'a "b", c\nd; and so on'
    assert tuple(row) == LINEAGE_COLUMNS


def test_lineage_has_a_line_for_each_verdict_promoted_or_not(tell: Any, read: Any) -> None:
    rejected, declined = (
        tell.whole_cycle("G002", course="rejected", parent="G001"),
        tell.whole_cycle("G003", course="declined", parent="G001"),
    )
    ledger = tell.first_and(tell.whole_cycle("G001"), tell.nothing_tried(1, "G001"), rejected, declined)
    rows = read.lineage(compile_views(ledger))
    assert [(row["generation"], row["promoted"], row["status"]) for row in rows] == [
        ("G000", "true", "accepted"),
        ("G001", "true", "accepted"),
        ("G002", "false", "rejected"),
        ("G003", "false", "declined"),
    ]
    assert [(row["pairs"], row["e_value"]) for row in rows[:2]] == [("", ""), ("4", "123.5")]


def test_a_verdict_without_scores_leaves_its_cells_empty(tell: Any, read: Any) -> None:
    unscored = replace(tell.verdict("G001", tell.SPEC, 0.6, False, None, "so"), child=None, voice=(), weights="")
    events = [
        *tell.searched("G000"),
        Attempted("G001", seal(tell.SALT, tell.SPEC, False)),
        *tell.bundle("attempt", 0, "G001"),
        unscored,
    ]
    views = compile_views(tell.first_and(events))
    _, row = read.lineage(views)
    assert (row["recall"], row["generalize"], row["pairs"], row["e_value"]) == ("", "", "", "")
    metrics = read.json(views["docs/metrics.json"])
    assert [metrics["rows"][cycle]["generation"] for cycle in metrics["best"]] == ["G000"]
