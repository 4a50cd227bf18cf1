from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.canonical import sha256
from aams.errors import AamsError, LedgerError
from safety.clock import later
from safety.events import Closed, Opened, entry_name
from safety.ledger import append, entry_bytes, next_entry, next_time, read_ledger, tips

CYCLES = Path("logs/cycles")


def names(ledger: Any) -> list[str]:
    return [entry_name(entry) for entry, _ in ledger]


def test_an_entry_is_canonical_json_and_a_newline_and_read_only(lab: Any) -> None:
    entry, digest = lab.ledger[0]
    path = lab.root / entry_name(entry)
    assert path.read_bytes() == entry_bytes(entry)
    assert path.read_bytes().endswith(b"}\n")
    assert sha256(path.read_bytes()) == digest
    assert path.stat().st_mode & 0o222 == 0


def test_the_ledger_is_read_in_the_order_it_was_written(lab: Any) -> None:
    events = [(entry.cycle, entry.event) for entry, _ in lab.ledger]
    root = ["opened", "attempted", "frozen", "trained", "looked", "verdict", "approved", "closed"]
    trials = ["opened", "proposed", "frozen", "trained", "screened"]
    attempt = ["attempted", "frozen", "trained", "looked", "verdict", "revealed"]
    assert events == [
        *(("root", event) for event in root),
        *(("first", event) for event in (*trials, *attempt, "closed")),
        *(("second", event) for event in (*trials, "closed")),
        *(("third", event) for event in (*trials, *attempt, "approved", "closed")),
    ]
    seen: set[str] = set()
    for entry, digest in lab.ledger:
        assert seen >= set(entry.follows)
        seen.add(digest)
    assert tips(lab.ledger) == (lab.ledger[-1].digest,)


def test_an_empty_lab_has_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) == ()
    (tmp_path / CYCLES / "opened-and-killed").mkdir(parents=True)
    (tmp_path / CYCLES / ".gitkeep").touch()
    assert read_ledger(tmp_path) == ()


def test_what_a_killed_writer_left_is_not_read(lab: Any) -> None:
    before = lab.ledger
    (lab.root / CYCLES / "first" / ".abc.part").write_bytes(b"half")
    assert lab.ledger == before


def test_an_entry_is_never_overwritten(lab: Any) -> None:
    entry = lab.ledger[3].entry
    before = (lab.root / entry_name(entry)).read_bytes()
    for taken in (entry, replace(entry, event="closed", facts={"outcome": "abandoned", "reason": ""})):
        with pytest.raises(LedgerError, match="is recorded already"):
            append(lab.root, taken)
    assert (lab.root / entry_name(entry)).read_bytes() == before


def test_a_clock_that_went_backwards_moves_no_entry_back(lab: Any) -> None:
    opened = Opened(7, "mutate-champion", "person", "G002", "corpus-a", "", "")
    entry = next_entry(lab.ledger, "fourth", opened, "language", "c" * 64, "2020-01-01T00:00:00Z")
    assert entry.time == lab.ledger[-1].entry.time


def test_the_time_of_the_next_entry_is_known_before_it_is_written(lab: Any, say: Any) -> None:
    newest = lab.ledger[-1].entry.time
    for now, wanted in ((later(newest, -60), newest), (newest, newest), (later(newest, 60), later(newest, 60))):
        assert next_time(lab.ledger, now) == wanted
        assert next_entry(lab.ledger, "fourth", say.opened("G002"), "language", "c" * 64, now).time == wanted
    assert next_time((), "2026-11-21T01:00:00Z") == "2026-11-21T01:00:00Z"


def test_two_cycles_side_by_side_merge_and_order_alike_everywhere(lab: Any, tmp_path: Path) -> None:
    base = lab.ledger
    opened = Opened(7, "mutate-champion", "person", "G002", "corpus-a", "", "")
    for name, minute in (("left", 50), ("right", 51)):
        first = append(lab.root, next_entry(base, name, opened, "language", "c" * 64, f"2026-11-21T01:{minute}:00Z"))
        closed = Closed("nothing-to-try", "")
        append(
            lab.root, next_entry((*base, first), name, closed, "language", "c" * 64, f"2026-11-21T01:{minute + 2}:00Z")
        )
    merged = lab.ledger
    assert [entry.cycle for entry, _ in merged[-4:]] == ["left", "right", "left", "right"]
    assert len(tips(merged)) == 2
    after = next_entry(merged, "after", opened, "language", "c" * 64, "2026-11-21T02:00:00Z")
    assert after.follows == tips(merged)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cycle": "../escape"}, "must be slugs"),
        ({"cycle": "UPPER"}, "must be slugs"),
        ({"domain": "a/b"}, "must be slugs"),
        ({"event": "promoted"}, "is not an event"),
        ({"follows": ("x",)}, "must be SHA-256 digests"),
        ({"follows": ("b" * 64, "a" * 64)}, "sorted and unique"),
        ({"follows": ("a" * 64, "a" * 64)}, "sorted and unique"),
        ({"contract": ""}, "must be SHA-256 digests"),
        ({"time": "2026-11-21 01:00:00"}, "time must be UTC"),
        ({"time": "2026-02-30T01:00:00Z"}, "time must be UTC"),
        ({"schema_version": 2}, "unknown schema_version"),
        ({"facts": {"outcome": "promoted", "reason": ""}}, "outcome: must be one of"),
        ({"facts": {"outcome": "abandoned"}}, "key 'reason' is missing"),
        ({"facts": {"outcome": "abandoned", "reason": "", "karma": 1}}, "unknown key"),
        ({"facts": {"outcome": "abandoned", "reason": 1}}, "must be a string"),
    ],
)
def test_what_is_not_a_well_formed_entry_is_not_written(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    good = next_entry((), "first", Closed("abandoned", ""), "language", "c" * 64, "2026-11-21T01:00:00Z")
    with pytest.raises(AamsError, match=complaint):
        append(tmp_path, replace(good, **change))
    assert list(tmp_path.iterdir()) == []


def damage(path: Path, change: Callable[[bytes], bytes]) -> None:
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(content))


def test_any_flipped_byte_of_an_entry_is_named(lab: Any) -> None:
    rng = random.Random(7)
    followed = names(lab.ledger)[:-1]
    for _ in range(60):
        name = rng.choice(followed)
        path = lab.root / name
        whole = path.read_bytes()
        place, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        damage(path, lambda content, place=place, bit=bit: _flip(content, place, bit))
        with pytest.raises(AamsError) as refusal:
            _ = lab.state
        assert name in str(refusal.value), (place, bit)
        path.write_bytes(whole)
    assert len(lab.ledger) > 20


def _flip(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]


def test_any_truncated_entry_is_named(lab: Any) -> None:
    name = names(lab.ledger)[4]
    whole = (lab.root / name).read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 2, len(whole) - 1):
        damage(lab.root / name, lambda content, length=length: whole[:length])
        with pytest.raises(AamsError) as refusal:
            _ = lab.ledger
        assert refusal.value.problems[0].file.endswith(name)


def test_any_deleted_entry_that_was_followed_is_missed(lab: Any) -> None:
    for name in names(lab.ledger)[:-1]:
        path = lab.root / name
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(LedgerError, match=r"is missing|is not in the ledger"):
            _ = lab.ledger
        path.write_bytes(whole)


def test_a_deleted_cycle_is_missed(lab: Any) -> None:
    shutil.rmtree(lab.root / CYCLES / "second")
    complaint = r"third/01-opened.json: follows .* not in the ledger; .*first/12-closed.json was changed, or what came"
    with pytest.raises(LedgerError, match=complaint):
        _ = lab.ledger


def test_two_swapped_entries_are_named(lab: Any) -> None:
    one, two = lab.root / CYCLES / "first/05-screened.json", lab.root / CYCLES / "third/05-screened.json"
    first, second = one.read_bytes(), two.read_bytes()
    damage(one, lambda _: second)
    damage(two, lambda _: first)
    with pytest.raises(LedgerError, match=r"first/05-screened.json: holds another entry than its name says"):
        _ = lab.ledger


@pytest.mark.parametrize(
    ("copy", "complaint"),
    [
        ("first/13-closed.json", "holds another entry"),
        ("first/01-closed.json", "first/01-closed.json: holds another entry"),
        ("first/12-verdict.json", "first/12-verdict.json: a second entry with the number 12"),
        ("first/14-closed.json", "entry 13 is missing"),
        ("first/13-promoted.json", "is not an entry of the ledger"),
        ("first/notes.txt", "is not an entry of the ledger"),
        ("first/1-closed.json", "is not an entry of the ledger"),
        ("stray.json", "is not a cycle's directory"),
        ("Other/01-opened.json", "is not a cycle's directory"),
    ],
)
def test_a_file_that_does_not_belong_is_named(lab: Any, copy: str, complaint: str) -> None:
    target = lab.root / CYCLES / copy
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(lab.root / CYCLES / "first/12-closed.json", target)
    with pytest.raises(LedgerError, match=complaint):
        _ = lab.ledger


def test_a_duplicated_cycle_is_named(lab: Any) -> None:
    shutil.copytree(lab.root / CYCLES / "first", lab.root / CYCLES / "copy")
    with pytest.raises(LedgerError, match=r"copy/01-opened.json: holds another entry than its name says"):
        _ = lab.ledger


def test_a_link_in_the_ledger_is_refused(lab: Any) -> None:
    path = lab.root / CYCLES / "first/12-closed.json"
    target = path.rename(lab.root / "elsewhere.json")
    path.symlink_to(target)
    with pytest.raises(AamsError, match="is a symbolic link"):
        _ = lab.ledger


def test_time_never_goes_backwards(lab: Any) -> None:
    opened = Opened(7, "mutate-champion", "person", "G002", "corpus-a", "", "")
    entry = next_entry(lab.ledger, "fourth", opened, "language", "c" * 64, "2026-11-21T02:00:00Z")
    append(lab.root, replace(entry, time="2026-11-21T00:00:00Z"))
    with pytest.raises(LedgerError, match=r"fourth/01-opened.json: time goes backwards"):
        _ = lab.ledger
