"""A checkpoint holds against the ledger it was taken of and against all that grew from it, and against no other."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aams.errors import LedgerError
from safety.checkpoint import EMPTY_ROOT, Checkpoint, check_against, merkle_root, take
from safety.ledger import Recorded, recorded_as, tips
from safety.signers import REVOKED_KEYS

DIGESTS = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=40)
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)

ADVICE = "this is not the ledger that the checkpoint was taken of, or it was rewritten since"


def split_at_a_power_of_two(leaves: list[bytes]) -> bytes:
    """The tree as RFC 6962 defines it."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    place = 1 << (len(leaves) - 1).bit_length() - 1
    halves = split_at_a_power_of_two(leaves[:place]) + split_at_a_power_of_two(leaves[place:])
    return hashlib.sha256(b"\1" + halves).digest()


@pytest.mark.parametrize("count", range(len(ROOTS)))
def test_the_roots_are_those_of_certificate_transparency(count: int) -> None:
    """The reference roots of its implementations, for the first of eight leaves."""
    assert merkle_root(LEAVES[:count]) == ROOTS[count]


@given(DIGESTS.filter(len))
def test_the_tree_is_the_one_that_the_standard_defines(digests: list[str]) -> None:
    assert merkle_root(digests) == split_at_a_power_of_two([bytes.fromhex(digest) for digest in digests]).hex()


def test_a_checkpoint_counts_the_entries_and_names_the_newest(line: Any) -> None:
    taken = take(line.ledger, {"SHA256:two", "SHA256:one"})
    assert taken == Checkpoint(
        schema_version=1,
        entries=len(line.ledger),
        root=merkle_root([recorded.digest for recorded in line.ledger]),
        tips=tips(line.ledger),
        time=line.now,
        revoked=("SHA256:one", "SHA256:two"),
    )
    assert take((), ()) == Checkpoint(1, 0, EMPTY_ROOT, (), "", ())


def test_the_time_is_of_the_newest_entry_wherever_it_stands(line: Any) -> None:
    first, *others = line.ledger
    late = Recorded(replace(first.entry, time="2026-12-24T00:00:00Z"), first.digest)
    assert take((late, *others), ()).time == "2026-12-24T00:00:00Z"


def test_every_earlier_checkpoint_holds_against_what_grew_from_it(line: Any) -> None:
    for count in range(len(line.ledger) + 1):
        check_against(line.ledger, (), take(line.ledger[:count], ()))


def test_a_ledger_that_lost_its_newest_entry_is_smaller_than_its_checkpoint(line: Any) -> None:
    count = len(line.ledger)
    with pytest.raises(
        LedgerError, match=f"smaller than at the checkpoint; got {count - 1} entries, .* has {count}; {ADVICE}"
    ):
        check_against(line.ledger[:-1], (), take(line.ledger, ()))


def test_another_newest_entry_is_not_the_one_of_the_checkpoint(line: Any) -> None:
    *before, last = line.ledger
    changed = recorded_as(replace(last.entry, time="2026-12-24T00:00:00Z"))
    with pytest.raises(
        LedgerError, match=f"an entry of the checkpoint is not in the ledger; got {last.digest}; {ADVICE}"
    ):
        check_against((*before, changed), (), take(line.ledger, ()))


def test_of_several_entries_that_are_gone_the_first_by_digest_is_named(line: Any) -> None:
    gone = ("f" * 64, "0" * 64)
    with pytest.raises(LedgerError, match=f"is not in the ledger; got {'0' * 64}"):
        check_against(line.ledger, (), replace(take(line.ledger, ()), tips=gone))


def test_an_earlier_entry_that_was_rewritten_gives_another_root(line: Any) -> None:
    """Digests of entries bind what they follow; the root binds it even to who could make digests collide."""
    known = take(line.ledger, ())
    first, *others = line.ledger
    with pytest.raises(LedgerError, match=f"history has another root than {known.root}"):
        check_against((Recorded(first.entry, "0" * 64), *others), (), known)


def test_a_checkpoint_whose_count_is_not_that_of_its_history_holds_against_nothing(line: Any) -> None:
    known = take(line.ledger[:-1], ())
    with pytest.raises(LedgerError, match=f"another root than {known.root}; got {known.entries} .*; {ADVICE}"):
        check_against(line.ledger, (), replace(known, entries=known.entries - 1))


def test_keys_that_were_revoked_at_the_checkpoint_are_revoked_for_good(line: Any) -> None:
    known = take(line.ledger[:-1], {"SHA256:one", "SHA256:two", "SHA256:three"})
    check_against(line.ledger, {"SHA256:one", "SHA256:two", "SHA256:three", "SHA256:four"}, known)
    with pytest.raises(LedgerError) as refused:
        check_against(line.ledger, {"SHA256:one", "SHA256:four"}, known)
    lost = "SHA256:three, SHA256:two"
    assert str(refused.value) == f"{REVOKED_KEYS}: lacks a key that was revoked; got {lost}; restore it from Git"
