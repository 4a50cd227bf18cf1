from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.standing import standing_of
from aams.views import acceptable, compile_views, write_views
from aams.views.logs import LINEAGE_COLUMNS
from aams.views.summary import BEST_ROWS, NEWEST_ROWS
from safety.checkpoint import EMPTY_ROOT
from safety.contract import CONTRACT_PATH
from safety.events import Looked, Verdict
from safety.ledger import Recorded, append, next_entry, read_ledger

TWO_ACCEPTED = {"children": 1, "attempts": 2, "accepted": 2, "cpu_s": 3.8, "used_flops": 2700}


def without_digests(row: dict[str, Any]) -> dict[str, Any]:
    """A row without its entries' digests, which depend on a commitment that tells nothing."""
    return {**row, "entries": [one["event"] for one in row["entries"]]}


@pytest.fixture(scope="module")
def long_ledger(tell: Any) -> list[Recorded]:
    """2,500 cycles, oldest first; every tenth is an attempt, and each of those a little better."""
    cycles = [("cycle-00000", tell.root())]
    for index in range(1, 2500):
        number = index // 10
        promoted = tell.whole_cycle(f"G{number:03d}", 0.5 + index / 10_000, parent=f"G{number - 1:03d}")
        events = tell.nothing_tried(index, f"G{number:03d}") if index % 10 else promoted
        cycles.append((f"cycle-{index:05d}", events))
    return tell.recorded(cycles)


@pytest.fixture(scope="module")
def long_views(long_ledger: list[Recorded]) -> dict[str, bytes]:
    return compile_views(long_ledger)


def test_an_empty_ledger_has_views_without_rows(read: Any) -> None:
    views = compile_views([])
    assert views.keys() == {
        "logs/experiments.jsonl",
        "logs/evolution_log.jsonl",
        "logs/lineage.csv",
        "docs/feed.xml",
        "docs/metrics.json",
    }
    assert views["logs/experiments.jsonl"] == views["logs/evolution_log.jsonl"] == b""
    assert views["logs/lineage.csv"].decode() == ",".join(LINEAGE_COLUMNS) + "\n"
    metrics = read.json(views["docs/metrics.json"])
    assert metrics["ledger"] == {"entries": 0, "root": EMPTY_ROOT, "tips": [], "newest": None}
    assert metrics["champions"] == metrics["totals"] == metrics["states"] == {}
    assert metrics["shards"] == metrics["columns"] == metrics["attempts"] == []


def test_equal_ledgers_give_equal_bytes_whatever_way_they_came_about(tmp_path: Path, tell: Any) -> None:
    ledger: tuple[Recorded, ...] = ()
    for cycle, events in (("root", tell.root()), ("first", tell.whole_cycle("G001"))):
        for facts in events:
            told = tell.own(cycle, facts)
            entry = next_entry(ledger, cycle, told, "language", "c" * 64, "2026-11-21T01:00:00Z")
            ledger += (append(tmp_path, entry),)
    assert compile_views(read_ledger(tmp_path)) == compile_views(ledger) == compile_views(list(ledger))


def test_a_cycle_is_one_row_that_tells_all_of_it(tell: Any, read: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001")))
    first, row = read.rows(views)
    assert (row["cycle"], row["domain"], row["generation"], row["outcome"]) == (
        "cycle-1",
        "language",
        "G001",
        "accepted",
    )
    assert (row["cpu_s"], row["wall_s"]) == (2.5, 5.0)
    assert row["children"][0]["validation"] == 0.52
    assert row["children"][0]["rationale"] == tell.HOSTILE
    assert row["reason"] == "so; and so on", "an empty closing reason does not wipe the arbiter's"
    assert (row["best"], row["placebo"], row["approved_by"]) == (tell.SPEC, False, "ann-verdict")
    assert (row["look"]["e_value"], row["look"]["standing"], len(row["pairs"])) == (123.5, "proven", 4)
    assert read.json(views["docs/data/experiments-0000.json"]) == [first, row]
    metrics = read.json(views["docs/metrics.json"])
    assert metrics["champions"]["language"] == {
        "generation": "G001",
        "time": row["time"],
        "scores": row["scores"],
        "look": row["look"],
        "cycle": "cycle-1",
        "best": tell.SPEC,
        "parent": "G000",
        "since": row["time"],
        "root": {"generation": "G000", "scores": first["scores"]},
        "line": ["G000", "G001"],
    }
    assert metrics["totals"]["language"] == TWO_ACCEPTED | {"cycles": 2}


def test_a_root_is_a_row_without_control_look_or_placebo(tell: Any, read: Any) -> None:
    (row,) = read.rows(compile_views(tell.first_and()))
    assert (row["generation"], row["parent"], row["outcome"], row["children"]) == ("G000", "", "accepted", [])
    assert (row["look"], row["control_scores"], row["pairs"][0]["control"]) == (None, None, None)
    assert "placebo" not in row


def test_pairs_of_every_batch_are_told_in_order(tell: Any, read: Any) -> None:
    row = read.rows(compile_views(tell.first_and(tell.whole_cycle("G001", batches=3))))[1]
    assert [pair["pair"] for pair in row["pairs"]] == list(range(12))
    assert row["look"]["pairs"] == 12
    assert row["cpu_s"] == 4 * 1.25


def test_an_open_cycle_is_shown_as_open(tell: Any, read: Any) -> None:
    row = read.rows(compile_views(tell.first_and(tell.whole_cycle("G001")[:4])))[1]
    assert (row["outcome"], row["generation"], row["children"][0]["validation"]) == ("open", "", None)


def test_a_child_that_waits_for_the_second_key_is_no_champion_yet(tell: Any, read: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001")[:-2]))
    assert read.rows(views)[1]["outcome"] == "waiting"
    assert "approved_by" not in read.rows(views)[1]
    assert [(row["generation"], row["status"], row["promoted"]) for row in read.lineage(views)] == [
        ("G000", "accepted", "true"),
        ("G001", "open", "false"),
    ]
    assert read.json(views["docs/metrics.json"])["champions"]["language"]["generation"] == "G000"


def test_before_its_verdict_no_view_tells_a_placebo_from_a_child(tell: Any, read: Any) -> None:
    events = tell.whole_cycle("G001", course="placebo", batches=2)
    until = next(index for index, facts in enumerate(events) if isinstance(facts, Verdict))
    child = tell.whole_cycle("G001", course="rejected", batches=2)[:until]
    sealed, other = compile_views(tell.first_and(events[:until])), compile_views(tell.first_and(child))
    assert not any(tell.PLACEBO.encode() in content for content in sealed.values())
    assert [without_digests(row) for row in read.rows(sealed)] == [without_digests(row) for row in read.rows(other)]
    assert sealed["logs/lineage.csv"] == other["logs/lineage.csv"]


def test_a_placebo_is_counted_and_promotes_nothing(tell: Any, read: Any) -> None:
    tricked = tell.whole_cycle("G001", course="placebo")
    judged = next(index for index, facts in enumerate(tricked) if isinstance(facts, Looked))
    looked = tricked[judged]
    assert isinstance(looked, Looked) and looked.look
    won = replace(looked.look, standing="proven")
    tricked[judged] = replace(looked, look=won, standing="proven")
    tricked[judged + 1] = tell.verdict("G001", tell.PLACEBO, 0.6, True, won, "so")
    views = compile_views(tell.first_and(tricked, tell.whole_cycle("G002", course="placebo")))
    assert [(row["outcome"], row["placebo"], row["best"]) for row in read.rows(views)[1:]] == [
        ("placebo", True, tell.PLACEBO),
        ("placebo", True, tell.PLACEBO),
    ]
    metrics = read.json(views["docs/metrics.json"])
    placebos = metrics["states"]["language"]["placebos"]
    assert (placebos["revealed"], placebos["promoted"]) == (2, 1)
    assert placebos["low"] < 0.5 < placebos["high"], "an interval that two placebos leave wide"
    assert [metrics["rows"][cycle]["generation"] for cycle in metrics["best"]] == ["G000"], (
        "a placebo is not among the best"
    )
    assert metrics["champions"]["language"]["generation"] == "G000"
    assert metrics["totals"]["language"]["accepted"] == 1
    assert [(row["status"], row["promoted"]) for row in read.lineage(views)[1:]] == [("placebo", "false")] * 2


def test_every_reader_shows_the_error_budget_that_the_ledger_adds_up_to(tmp_path: Path, tell: Any, read: Any) -> None:
    unscored = [one for one in tell.whole_cycle("G003", course="rejected") if not isinstance(one, Looked)]
    at = next(index for index, facts in enumerate(unscored) if isinstance(facts, Verdict))
    unscored[at] = replace(unscored[at], look=None, child=None)
    judged = [tell.whole_cycle(f"G00{number}", course="rejected") for number in (1, 2)]
    (tmp_path / "safety").mkdir()
    shutil.copy(CONTRACT_PATH, tmp_path / "safety")
    for ledger, spent in (
        (tell.first_and(*judged), 0.02),
        (tell.first_and(*judged, unscored), 0.02),
        (tell.first_and(*judged, unscored, tell.whole_cycle("G004", course="rejected")[:-3]), 0.03),
    ):
        metrics = read.json(compile_views(ledger)["docs/metrics.json"])
        assert metrics["states"]["language"]["alpha_spent"] == spent
        for path in sorted(tmp_path.glob("logs/cycles/*/*")):
            path.unlink()
        for entry, _ in ledger:
            append(tmp_path, entry)
        standing = next(one for one in standing_of(tmp_path).domains if one.domain == "language")
        assert standing.alpha_spent == pytest.approx(spent)


def test_a_rollback_moves_the_champion_and_is_no_attempt(tell: Any, read: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001"), tell.recall("G000", "G001")))
    row = read.rows(views)[2]
    assert (row["generation"], row["outcome"], row["approved_by"]) == ("G000", "rolled-back", "ann-verdict")
    metrics = read.json(views["docs/metrics.json"])
    assert metrics["champions"]["language"]["generation"] == "G000"
    assert metrics["champions"]["language"]["cycle"] == "root", "the cycle that first tried it"
    assert metrics["totals"]["language"] == TWO_ACCEPTED | {"cycles": 3}
    assert [metrics["rows"][cycle]["generation"] for cycle in metrics["attempts"]] == ["G001", "G000"]
    assert [row["generation"] for row in read.lineage(views)] == ["G000", "G001"]
    log = read.rows(views, "logs/evolution_log.jsonl")
    assert [(line["action"], line["generation"]) for line in log[-2:]] == [("PROPOSE", ""), ("COMMIT", "G000")]
    waiting = read.rows(compile_views(tell.first_and(tell.whole_cycle("G001"), tell.recall("G000", "G001")[:2])))[2]
    assert (waiting["outcome"], waiting["reason"]) == ("waiting", "it was better")


def test_2500_cycles_make_3_shards(long_views: dict[str, bytes], read: Any) -> None:
    shards = read.json(long_views["docs/metrics.json"])["shards"]
    assert shards == [f"data/experiments-{index:04d}.json" for index in range(3)]
    parts = [read.json(long_views[f"docs/{name}"]) for name in shards]
    assert [len(part) for part in parts] == [1000, 1000, 500]
    assert [row for part in parts for row in part] == read.rows(long_views)


def test_a_full_shard_never_changes_when_rows_are_added(
    long_ledger: list[Recorded], long_views: dict[str, bytes]
) -> None:
    upto = next(index for index, item in enumerate(long_ledger) if item.entry.cycle == "cycle-02100")
    before, after = compile_views(long_ledger[:upto]), long_views
    first, second, third = (f"docs/data/experiments-{index:04d}.json" for index in range(3))
    assert (before[first], before[second]) == (after[first], after[second])
    assert before[third] != after[third]
    assert after["logs/experiments.jsonl"].startswith(before["logs/experiments.jsonl"])
    assert after["logs/lineage.csv"].startswith(before["logs/lineage.csv"])


def test_the_first_page_stays_small_however_long_the_history(
    long_ledger: list[Recorded], long_views: dict[str, bytes], read: Any
) -> None:
    metrics = read.json(long_views["docs/metrics.json"])
    assert len(metrics["newest"]) == len(metrics["attempts"]) == NEWEST_ROWS
    assert len(metrics["best"]) == BEST_ROWS
    assert metrics["newest"][0] == "cycle-02499", "newest first"
    listed = {name: metrics["rows"][metrics[name][0]]["generation"] for name in ("attempts", "best")}
    assert listed == {"attempts": "G249", "best": "G249"}
    assert len(long_views["docs/metrics.json"]) < 150_000
    assert metrics["champions"]["language"]["generation"] == "G249"
    assert metrics["ledger"]["entries"] == len(long_ledger)
    assert metrics["totals"]["language"]["cycles"] == 2500


def test_exactly_full_shards_leave_no_empty_one(tell: Any, read: Any) -> None:
    cycles = [(f"cycle-{index:04d}", tell.nothing_tried(index)) for index in range(1, 1000)]
    views = compile_views(tell.recorded([("cycle-0000", tell.root()), *cycles]))
    assert read.json(views["docs/metrics.json"])["shards"] == ["data/experiments-0000.json"]


def test_views_that_are_right_are_left_alone_and_wrong_ones_are_mended(tmp_path: Path, tell: Any) -> None:
    ledger = tell.first_and(tell.whole_cycle("G001"))
    write_views(tmp_path, ledger)
    before = {path: path.stat() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path).as_posix() for path in before} == compile_views(ledger).keys()
    (tmp_path / "logs/lineage.csv").write_text("changed by hand")
    write_views(tmp_path, ledger)
    for name, content in compile_views(ledger).items():
        path = tmp_path / name
        assert path.read_bytes() == content
        assert (path.stat().st_ino == before[path].st_ino) == (name != "logs/lineage.csv")


def test_views_may_be_behind_the_ledger_and_no_further(tmp_path: Path, tell: Any) -> None:
    ledger = tell.first_and(tell.whole_cycle("G001"), tell.nothing_tried(1, "G001"))
    behind = len(ledger) - 2
    before, now = compile_views(ledger[:behind]), compile_views(ledger)
    write_views(tmp_path, ledger[:behind])
    allowed = acceptable(tmp_path, ledger)
    assert all(set(allowed[name]) == {before[name], now[name]} for name in now)
    write_views(tmp_path, ledger)
    assert acceptable(tmp_path, ledger) == {name: (content,) for name, content in now.items()}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"ledger": 1}', b'{"ledger": {"tips": [[]]}}', b"\xff"])
def test_a_front_page_that_was_tampered_with_vouches_for_nothing(tmp_path: Path, content: bytes, tell: Any) -> None:
    ledger = tell.first_and(tell.whole_cycle("G001"))
    write_views(tmp_path, ledger)
    (tmp_path / "docs/metrics.json").write_bytes(content)
    allowed = acceptable(tmp_path, ledger)
    assert content not in allowed["docs/metrics.json"]
    assert compile_views(ledger)["docs/metrics.json"] in allowed["docs/metrics.json"]


def test_json_sorts_its_keys(tell: Any) -> None:
    views = compile_views(tell.first_and(tell.whole_cycle("G001")))
    text = views["docs/metrics.json"].decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n"
