from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import sha256
from aams.records import Cost, Criterion, Entry, Fitness, Mutation, Pair
from aams.strict import read_json
from aams.views import BEST_ROWS, LINEAGE_COLUMNS, NEWEST_ROWS, acceptable, compile_views, write_views
from safety.events import (
    Attempted,
    Closed,
    Facts,
    Frozen,
    Opened,
    Proposed,
    ProposedChild,
    Screened,
    Trained,
    TrialScore,
    Verdict,
    event_name,
)
from safety.ledger import Recorded, append, entry_bytes, next_entry, read_ledger

CONTRACT = "c" * 64
SPEC, OTHER = "a" * 64, "b" * 64
HOSTILE = '=HYPERLINK("http://evil")\n"quoted", </script>\u2028 and ünïcödé'


def recorded(cycles: Sequence[tuple[str, Sequence[Facts]]], domain: str = "language") -> list[Recorded]:
    """A ledger in memory, one minute a cycle, each entry after the one before."""
    from aams.canonical import to_data

    ledger: list[Recorded] = []
    for minute, (cycle, events) in enumerate(cycles):
        time = f"2026-11-{1 + minute // 1440:02d}T{minute // 60 % 24:02d}:{minute % 60:02d}:00Z"
        for number, facts in enumerate(events, start=1):
            follows = (ledger[-1].digest,) if ledger else ()
            entry = Entry(1, cycle, number, event_name(facts), domain, follows, CONTRACT, time, to_data(facts))
            ledger.append(Recorded(entry, sha256(entry_bytes(entry))))
    return ledger


def verdict(
    generation: str, generalize: float = 0.6, passed: bool = True, reason: str = "as good as it gets"
) -> Verdict:
    return Verdict(
        generation=generation,
        spec=SPEC,
        outcome="accepted" if passed else "rejected",
        criteria=(Criterion("recall", 0.8, ">=", 0.75, passed),),
        reasons=(reason, "and so on"),
        child=Fitness(0.8, generalize, -0.01, 2.5, 0),
        control=Fitness(0.8, 0.58, 0.0, 2.6, 0),
        pairs=(Pair(0, generalize, 0.58),),
        voice=(0.25, 0.75),
        weights="",
        archive="e" * 64,
        head_before="G000",
        head_after=generation if passed else "G000",
    )


def opened(seed: int = 7) -> Opened:
    return Opened(
        seed=seed,
        planner="mutate-champion",
        trigger="person",
        parent="G000",
        corpus="corpus-a",
        request="f" * 64,
        commit="",
    )


def whole_cycle(generation: str, generalize: float = 0.6, passed: bool = True, reason: str = "so") -> list[Facts]:
    mutation = Mutation("widen", "model.width", 128, 192, HOSTILE, 0.01)
    child = ProposedChild(SPEC, "model: {}\n", (mutation,), HOSTILE, 0.01, Cost(1000, 2, 6, 0, 32, 192, 4, 16))
    return [
        opened(),
        Proposed((child,), ()),
        Frozen("trial", "1" * 64, "2" * 64, 3),
        Trained("trial", "3" * 64, (), {}, "none", 1.25, 2.5),
        Screened(0.5, (TrialScore(SPEC, 0.52),), 0.005, SPEC, True),
        Attempted(generation, SPEC),
        Frozen("attempt", "4" * 64, "5" * 64, 10),
        Trained("attempt", "6" * 64, (), {}, "none", 1.5, 2.5),
        verdict(generation, generalize, passed, reason),
        Closed("accepted" if passed else "rejected", ""),
    ]


def screened_out(seed: int) -> list[Facts]:
    return [opened(seed), Closed("nothing-to-try", "the planner found no child")]


def strict(content: bytes) -> Any:
    return read_json(content, "view", 1 << 26)


def rows_of(views: dict[str, bytes], name: str = "logs/experiments.jsonl") -> list[Any]:
    return [strict(line) for line in views[name].splitlines()]


def lineage_of(views: dict[str, bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(views["logs/lineage.csv"].decode(), newline="")))


@pytest.fixture(scope="module")
def long_ledger() -> list[Recorded]:
    """2,500 cycles, oldest first; every tenth is an attempt."""
    return recorded(
        [
            (
                f"cycle-{index:05d}",
                whole_cycle(f"G{index:03d}", index / 10_000) if not index % 10 else screened_out(index),
            )
            for index in range(2500)
        ]
    )


@pytest.fixture(scope="module")
def long_views(long_ledger: list[Recorded]) -> dict[str, bytes]:
    return compile_views(long_ledger)


def test_an_empty_ledger_has_views_without_rows() -> None:
    views = compile_views([])
    assert views.keys() == {
        "logs/experiments.jsonl",
        "logs/evolution_log.jsonl",
        "logs/lineage.csv",
        "docs/metrics.json",
    }
    assert views["logs/experiments.jsonl"] == views["logs/evolution_log.jsonl"] == b""
    assert views["logs/lineage.csv"].decode() == ",".join(LINEAGE_COLUMNS) + "\n"
    metrics = strict(views["docs/metrics.json"])
    assert metrics["ledger"] == {"entries": 0, "tips": [], "newest": None}
    assert metrics["champions"] == metrics["totals"] == {}
    assert metrics["shards"] == metrics["attempts"] == []


def test_equal_ledgers_give_equal_bytes_whatever_way_they_came_about(tmp_path: Path) -> None:
    ledger: tuple[Recorded, ...] = ()
    for facts in whole_cycle("G001"):
        entry = next_entry(ledger, "first", facts, "language", CONTRACT, "2026-11-21T01:00:00Z")
        ledger += (append(tmp_path, entry),)
    assert compile_views(read_ledger(tmp_path)) == compile_views(ledger) == compile_views(list(ledger))


def test_a_cycle_is_one_row_that_tells_all_of_it() -> None:
    views = compile_views(recorded([("first", whole_cycle("G001"))]))
    (row,) = rows_of(views)
    assert (row["cycle"], row["domain"], row["generation"], row["outcome"]) == ("first", "language", "G001", "accepted")
    assert (row["cpu_s"], row["wall_s"]) == (2.75, 5.0)
    assert row["children"][0]["validation"] == 0.52
    assert row["children"][0]["rationale"] == HOSTILE
    assert row["reason"] == "so; and so on", "an empty closing reason does not wipe the arbiter's"
    assert strict(views["docs/data/experiments-0000.json"]) == [row]
    metrics = strict(views["docs/metrics.json"])
    assert metrics["champions"]["language"]["generation"] == "G001"
    assert metrics["totals"]["language"] == {"cycles": 1, "children": 1, "attempts": 1, "accepted": 1, "cpu_s": 2.8}


def test_an_open_cycle_is_shown_as_open() -> None:
    (row,) = rows_of(compile_views(recorded([("first", whole_cycle("G001")[:4])])))
    assert (row["outcome"], row["generation"], row["children"][0]["validation"]) == ("open", "", None)


def test_every_transition_is_logged_in_order() -> None:
    log = rows_of(compile_views(recorded([("first", whole_cycle("G001"))])), "logs/evolution_log.jsonl")
    training = ["MANIFEST_FROZEN", "TRAIN_START", "TRAIN_COMPLETE", "EVAL_COMPLETE"]
    assert [line["action"] for line in log] == ["PROPOSE", *training, *training, "ARBITER_VERIFY", "COMMIT", "ARCHIVE"]
    assert [line["generation"] for line in log] == [""] * 5 + ["G001"] * 7
    rejected = recorded([("second", whole_cycle("G002", passed=False)), ("third", screened_out(1))])
    log = rows_of(compile_views(rejected), "logs/evolution_log.jsonl")
    ends = [(line["cycle"], line["head_updated"]) for line in log if line["action"] in ("REJECT", "COMMIT")]
    assert ends == [("second", False), ("third", False)], "a rejection is logged once"


def test_2500_cycles_make_3_shards(long_views: dict[str, bytes]) -> None:
    shards = strict(long_views["docs/metrics.json"])["shards"]
    assert shards == [f"data/experiments-{index:04d}.json" for index in range(3)]
    parts = [strict(long_views[f"docs/{name}"]) for name in shards]
    assert [len(part) for part in parts] == [1000, 1000, 500]
    assert [row for part in parts for row in part] == rows_of(long_views)


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
    long_ledger: list[Recorded], long_views: dict[str, bytes]
) -> None:
    metrics = strict(long_views["docs/metrics.json"])
    assert len(metrics["newest"]) == len(metrics["attempts"]) == NEWEST_ROWS
    assert len(metrics["best"]) == BEST_ROWS
    assert metrics["newest"][0]["cycle"] == "cycle-02499", "newest first"
    assert metrics["attempts"][0]["generation"] == "G2490"
    assert metrics["best"][0]["generation"] == "G2490"
    assert metrics["champions"]["language"]["generation"] == "G2490"
    assert metrics["ledger"]["entries"] == len(long_ledger)
    assert metrics["totals"]["language"]["cycles"] == 2500


def test_exactly_full_shards_leave_no_empty_one() -> None:
    views = compile_views(recorded([(f"cycle-{index:04d}", screened_out(index)) for index in range(1000)]))
    assert strict(views["docs/metrics.json"])["shards"] == ["data/experiments-0000.json"]


def test_json_views_are_strict_ascii_and_a_row_is_a_line() -> None:
    views = compile_views(recorded([("first", whole_cycle("G001", reason=HOSTILE))]))
    for name, content in views.items():
        assert content.endswith(b"\n")
        if name.endswith((".json", ".jsonl")):
            assert content.isascii()
            assert all(strict(line) is not None for line in content.splitlines()), name


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_takes_a_cell_for_a_formula(start: str) -> None:
    views = compile_views(recorded([("first", whole_cycle("G001", reason=f"{start}1+cmd|' /C calc'!A0"))]))
    (row,) = lineage_of(views)
    assert row["reason"][0] not in "=+-@\t\r" and "1+cmd" in row["reason"]
    assert row["tone_drift"] == "-0.01", "a negative number is a number"


def test_a_cell_with_quotes_commas_and_newlines_comes_back_whole() -> None:
    (row,) = lineage_of(compile_views(recorded([("first", whole_cycle("G001", reason='a "b", c\nd'))])))
    assert row["reason"] == 'a "b", c\nd; and so on'
    assert tuple(row) == LINEAGE_COLUMNS


def test_lineage_has_a_line_for_each_verdict_promoted_or_not() -> None:
    ledger = recorded([("a", whole_cycle("G001")), ("b", screened_out(1)), ("c", whole_cycle("G002", passed=False))])
    assert [(row["generation"], row["promoted"]) for row in lineage_of(compile_views(ledger))] == [
        ("G001", "true"),
        ("G002", "false"),
    ]


def test_a_verdict_without_scores_leaves_its_cells_empty() -> None:
    from dataclasses import replace

    events: list[Facts] = [opened(), Attempted("G001", OTHER)]
    events += [replace(verdict("G001", passed=False), child=None, control=None, pairs=())]
    views = compile_views(recorded([("first", events)]))
    (row,) = lineage_of(views)
    assert (row["recall"], row["generalize"]) == ("", "")
    assert strict(views["docs/metrics.json"])["best"] == []


def test_views_that_are_right_are_left_alone_and_wrong_ones_are_mended(tmp_path: Path) -> None:
    ledger = recorded([("first", whole_cycle("G001"))])
    write_views(tmp_path, ledger)
    before = {path: path.stat() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.relative_to(tmp_path).as_posix() for path in before} == compile_views(ledger).keys()
    (tmp_path / "logs/lineage.csv").write_text("changed by hand")
    write_views(tmp_path, ledger)
    for name, content in compile_views(ledger).items():
        path = tmp_path / name
        assert path.read_bytes() == content
        assert (path.stat().st_ino == before[path].st_ino) == (name != "logs/lineage.csv")


def test_views_may_be_behind_the_ledger_and_no_further(tmp_path: Path) -> None:
    ledger = recorded([("first", whole_cycle("G001")), ("second", screened_out(1))])
    before, now = compile_views(ledger[:10]), compile_views(ledger)
    write_views(tmp_path, ledger[:10])
    allowed = acceptable(tmp_path, ledger)
    assert all(set(allowed[name]) == {before[name], now[name]} for name in now)
    write_views(tmp_path, ledger)
    assert acceptable(tmp_path, ledger) == {name: (content,) for name, content in now.items()}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"ledger": 1}', b'{"ledger": {"tips": [[]]}}', b"\xff"])
def test_a_front_page_that_was_tampered_with_vouches_for_nothing(tmp_path: Path, content: bytes) -> None:
    ledger = recorded([("first", whole_cycle("G001"))])
    write_views(tmp_path, ledger)
    (tmp_path / "docs/metrics.json").write_bytes(content)
    allowed = acceptable(tmp_path, ledger)
    assert content not in allowed["docs/metrics.json"]
    assert compile_views(ledger)["docs/metrics.json"] in allowed["docs/metrics.json"]


def test_json_sorts_its_keys() -> None:
    views = compile_views(recorded([("first", whole_cycle("G001"))]))
    text = views["docs/metrics.json"].decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) + "\n"
