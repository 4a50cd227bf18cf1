"""The ledger: immutable events, one file each, that name the digests of the events they follow.

Takes and gives `Entry` records in `logs/cycles/<cycle>/NN-<event>.json`; a file holds canonical JSON and a newline, and
its digest is over exactly those bytes. Entries are only ever added. What they add up to is `safety.state`'s business.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from aams.canonical import SHA256, canonical_json, from_data, sha256, to_data
from aams.errors import AamsError, LedgerError, Problem
from aams.files import is_leftover, read_bounded, write_new
from aams.records import Entry
from aams.strict import SLUG, read_json
from safety.clock import is_time
from safety.events import EVENTS, Facts, entry_name, event_name, facts_of

CYCLES = "logs/cycles"
SCHEMA_VERSION = 1
MAX_ENTRY_BYTES = 4 * 1024 * 1024


class Recorded(NamedTuple):
    """An entry of the ledger with the digest of its file."""

    entry: Entry
    digest: str


def entry_bytes(entry: Entry) -> bytes:
    """What an entry's file holds."""
    return canonical_json(to_data(entry)) + b"\n"


def recorded_as(entry: Entry) -> Recorded:
    """An entry with the digest that its file will have."""
    return Recorded(entry, sha256(entry_bytes(entry)))


def next_time(ledger: Iterable[Recorded], now: str) -> str:
    """The time of the next entry: now, or the newest entry's, as a clock that went backwards costs no training.

    What is signed for that entry is signed, expires and is checked by this time, not by the clock's.
    """
    return max([now, *(entry.time for entry, _ in ledger)])


def next_entry(ledger: Sequence[Recorded], cycle: str, facts: Facts, domain: str, contract: str, now: str) -> Entry:
    """Build the entry that continues a cycle, or opens it, after everything the ledger holds.

    Args:
        ledger: what `read_ledger` gave.
        cycle: its id, a slug.
        facts: what happened; says which event it is.
        domain: the cycle's.
        contract: digest of the contract in force.
        now: UTC, as `safety.clock` writes it.
    """
    own = [recorded for recorded in ledger if recorded.entry.cycle == cycle]
    follows = {*tips(ledger), *(recorded.digest for recorded in own[-1:])}
    return Entry(
        schema_version=SCHEMA_VERSION,
        cycle=cycle,
        number=len(own) + 1,
        event=event_name(facts),
        domain=domain,
        follows=tuple(sorted(follows)),
        contract=contract,
        time=next_time(ledger, now),
        facts=to_data(facts),
    )


def append(root: Path, entry: Entry) -> Recorded:
    """Write one entry, read-only, where there was none.

    Returns:
        The entry as whoever reads the ledger gets it: a 4.0 that its file has as 4 is a 4.

    Raises:
        LedgerError: it is not a well-formed entry, or its place is taken.
        AamsError: its facts are not those of its event, or the disk is full; nothing was written.
    """
    place = entry_name(entry)
    _check_form(entry, place)
    path = root / place
    taken = Problem("is recorded already", advice="entries are never changed; read the ledger again", file=place)
    if any(path.parent.glob(f"{entry.number:02d}-*")):
        raise LedgerError(taken)
    content = entry_bytes(entry)
    try:
        write_new(path, content)
    except AamsError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise LedgerError(taken) from None
        raise
    return Recorded(from_data(Entry, read_json(content, place), place), sha256(content))


def read_ledger(root: Path) -> tuple[Recorded, ...]:
    """Read and check every entry, in an order where each comes after those it follows; equal ledgers, equal order.

    Raises:
        LedgerError: naming the first file that is missing, foreign, changed or out of order.
        AamsError: naming the first file that is not a strict record.
    """
    folder = root / CYCLES
    cycles = [_read_cycle(path) for path in _listed(folder)] if folder.exists() else []
    for cycle in cycles:
        _check_chain(cycle)
    return _in_order([recorded for cycle in cycles for recorded in cycle])


def tips(ledger: Iterable[Recorded]) -> tuple[str, ...]:
    """Digests of the entries that nothing follows yet, sorted."""
    recorded = tuple(ledger)
    followed = {digest for entry, _ in recorded for digest in entry.follows}
    return tuple(sorted(digest for _, digest in recorded if digest not in followed))


def up_to(wanted: Iterable[str], ledger: Sequence[Recorded]) -> list[Recorded]:
    """The part of an ordered ledger that these entries follow, themselves included."""
    included = set(wanted)
    for entry, digest in reversed(ledger):
        if digest in included:
            included.update(entry.follows)
    return [recorded for recorded in ledger if recorded.digest in included]


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not is_leftover(path) and path.name != ".gitkeep")


def _read_cycle(folder: Path) -> list[Recorded]:
    place = f"{CYCLES}/{folder.name}"
    if not SLUG.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        raise LedgerError(Problem("is not a cycle's directory", advice="remove it", file=place))
    cycle: list[Recorded] = []
    for path in _listed(folder):
        name = f"{place}/{path.name}"
        match = re.fullmatch(r"([0-9]{2,4})-([a-z]+)\.json", path.name)
        if not match or match[2] not in EVENTS:
            raise LedgerError(Problem("is not an entry of the ledger", advice="remove it", file=name))
        if int(match[1]) != len(cycle) + 1:
            missing = Problem(
                f"entry {len(cycle) + 1:02d} is missing", f"{path.name} next", "restore it from Git", place
            )
            twice = Problem(
                f"a second entry with the number {match[1]}", advice="restore the directory from Git", file=name
            )
            raise LedgerError(twice if int(match[1]) <= len(cycle) else missing)
        cycle.append(_read_entry(path, name))
    return cycle


def _read_entry(path: Path, name: str) -> Recorded:
    content = read_bounded(path, MAX_ENTRY_BYTES)
    entry = from_data(Entry, read_json(content, name, MAX_ENTRY_BYTES), name)
    if entry_name(entry) != name:
        raise LedgerError(
            Problem("holds another entry than its name says", entry_name(entry), "restore it from Git", name)
        )
    if entry_bytes(entry) != content:
        raise LedgerError(Problem("is not canonical JSON and a newline", advice="restore it from Git", file=name))
    _check_form(entry, name)
    return Recorded(entry, sha256(content))


def _check_form(entry: Entry, name: str) -> None:
    def refuse(what: str, got: object) -> LedgerError:
        return LedgerError(Problem(what, str(got)[:80], "restore it from Git if it was recorded before", name))

    facts_of(entry)
    if entry.schema_version != SCHEMA_VERSION:
        raise refuse("has an unknown schema_version", entry.schema_version)
    for slug in (entry.cycle, entry.domain):
        if not SLUG.fullmatch(slug):
            raise refuse("cycle and domain must be slugs", slug)
    for digest in (*entry.follows, entry.contract):
        if not SHA256.fullmatch(digest):
            raise refuse("follows and contract must be SHA-256 digests", digest)
    if list(entry.follows) != sorted(set(entry.follows)):
        raise refuse("follows must be sorted and unique", entry.follows)
    if not is_time(entry.time):
        raise refuse("time must be UTC to the second, like 2026-11-21T01:40:00Z", entry.time)


def _check_chain(cycle: Sequence[Recorded]) -> None:
    # From the end: an entry that was changed differs from what its follower names before its own follows are looked at.
    for (entry, digest), (later, _) in reversed(list(pairwise(cycle))):
        if digest not in later.follows:
            raise LedgerError(
                Problem(
                    f"is not what {entry_name(later).rsplit('/', 1)[1]} follows",
                    f"SHA-256 {digest}",
                    "one of the two was changed; restore it from Git",
                    entry_name(entry),
                )
            )


def _in_order(recorded: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """Sort by time, cycle and number among those whose predecessors are all in (Kahn 1962)."""
    by_digest = {item.digest: item for item in recorded}
    followers: dict[str, list[Recorded]] = {digest: [] for digest in by_digest}
    waiting: dict[str, int] = {}
    for item in recorded:
        for digest in item.entry.follows:
            if digest not in by_digest:
                raise _dangling(item, digest, recorded)
            if by_digest[digest].entry.time > item.entry.time:
                got = f"{item.entry.time} after {by_digest[digest].entry.time}"
                raise LedgerError(Problem("time goes backwards", got, "restore it from Git", entry_name(item.entry)))
            followers[digest].append(item)
        waiting[item.digest] = len(item.entry.follows)

    def key(item: Recorded) -> tuple[str, str, int, str]:
        return item.entry.time, item.entry.cycle, item.entry.number, item.digest

    ready = [key(item) for item in recorded if not item.entry.follows]
    heapq.heapify(ready)
    ordered: list[Recorded] = []
    while ready:
        ordered.append(by_digest[heapq.heappop(ready)[-1]])
        for follower in followers[ordered[-1].digest]:
            waiting[follower.digest] -= 1
            if not waiting[follower.digest]:
                heapq.heappush(ready, key(follower))
    return tuple(ordered)


def _dangling(item: Recorded, digest: str, recorded: Sequence[Recorded]) -> LedgerError:
    """Name the entry that follows nothing, and the one that may have been changed, where only one can have been."""
    later = {item.digest}
    waiting = [item.digest]
    while waiting:
        followed = waiting.pop()
        found = {other.digest for other in recorded if followed in other.entry.follows} - later
        later |= found
        waiting += found
    loose = set(tips(recorded)) - later
    suspects = [entry_name(other.entry) for other in recorded if other.digest in loose]
    advice = "restore logs/cycles from Git"
    if len(suspects) == 1:
        advice = f"{suspects[0]} was changed, or what came after it was removed; {advice}"
    return LedgerError(Problem("follows an entry that is not in the ledger", digest, advice, entry_name(item.entry)))
