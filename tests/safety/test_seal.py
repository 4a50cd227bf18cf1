from __future__ import annotations

import hmac
import re
from decimal import Context, Decimal
from itertools import combinations, product
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safety.seal import is_placebo, salt_of, seal

SECRET = b"what only the arbiter knows"
CYCLES = [f"language-{number}" for number in range(20_000)]
SALTS = st.text("0123456789abcdef", min_size=64, max_size=64)


def test_at_rate_0_no_attempt_is_a_placebo_and_at_rate_1_every_one_is() -> None:
    assert not any(is_placebo(SECRET, cycle, Decimal(0)) for cycle in CYCLES)
    assert all(is_placebo(SECRET, cycle, Decimal(1)) for cycle in CYCLES)


@pytest.mark.parametrize("rate", ["0.01", "0.1", "0.5", "0.9"])
def test_the_share_of_placebos_is_close_to_the_rate(rate: str) -> None:
    count = sum(is_placebo(SECRET, cycle, Decimal(rate)) for cycle in CYCLES)
    share = float(rate)
    assert abs(count / len(CYCLES) - share) < 4 * sqrt(share * (1 - share) / len(CYCLES))


def test_a_cycle_that_is_a_placebo_stays_one_at_any_higher_rate() -> None:
    rates = [Decimal(step) / 20 for step in range(21)]
    for cycle in CYCLES[:500]:
        coins = [is_placebo(SECRET, cycle, rate) for rate in rates]
        assert coins == sorted(coins)


def test_the_coin_is_64_bits_that_lie_below_the_rate() -> None:
    """A placebo's ticket, as anybody with the secret can draw it, is below the rate and not equal to it."""
    for cycle in CYCLES[:100]:
        ticket = int.from_bytes(hmac.digest(SECRET, f"placebo/{cycle}".encode(), "sha256")[:8])
        rate = Context(prec=80).divide(Decimal(ticket), Decimal(2**64))
        assert not is_placebo(SECRET, cycle, rate)
        assert is_placebo(SECRET, cycle, rate.next_plus(Context(prec=80)))


def test_the_coin_and_the_salt_are_the_same_whenever_they_are_asked_for() -> None:
    for cycle in CYCLES[:100]:
        assert salt_of(SECRET, cycle) == salt_of(SECRET, cycle)
        assert is_placebo(SECRET, cycle, Decimal("0.5")) == is_placebo(SECRET, cycle, Decimal("0.5"))


def test_another_secret_tosses_other_coins() -> None:
    half = Decimal("0.5")
    differing = sum(is_placebo(SECRET, cycle, half) != is_placebo(b"another", cycle, half) for cycle in CYCLES)
    assert 0.48 < differing / len(CYCLES) < 0.52


def test_every_cycle_and_every_secret_has_its_own_salt() -> None:
    salts = [salt_of(secret, cycle) for secret, cycle in product((SECRET, b"another"), CYCLES[:5_000])]
    assert len(set(salts)) == len(salts)
    assert all(re.fullmatch("[0-9a-f]{64}", salt) for salt in salts)


def test_the_salt_does_not_tell_the_coin() -> None:
    """Of a salt's 256 bits none goes with the coin: each agrees with it about half of the time."""
    half, cycles = Decimal("0.5"), CYCLES[:2_000]
    coins = [is_placebo(SECRET, cycle, half) for cycle in cycles]
    salts = [int(salt_of(SECRET, cycle), 16) for cycle in cycles]
    for bit in range(256):
        agreeing = sum((salt >> bit & 1) == coin for salt, coin in zip(salts, coins, strict=True))
        assert abs(agreeing / len(cycles) - 0.5) < 5 * 0.5 / sqrt(len(cycles)), bit


def test_a_commitment_differs_by_any_field() -> None:
    fields = product(("a" * 64, "b" * 64), ("c" * 64, "d" * 64), (False, True))
    commitments = [seal(salt, spec, placebo) for salt, spec, placebo in fields]
    assert all(one != other for one, other in combinations(commitments, 2))


def test_fields_do_not_run_into_each_other() -> None:
    assert seal("ab", "c", False) != seal("a", "bc", False)
    assert seal("", "ab", True) != seal("ab", "", True)


@given(salt=SALTS, spec=SALTS)
def test_a_child_and_a_placebo_look_alike_until_the_salt_is_known(salt: str, spec: str) -> None:
    child, placebo = seal(salt, spec, False), seal(salt, spec, True)
    assert child != placebo
    assert re.fullmatch("[0-9a-f]{64}", child)
    assert re.fullmatch("[0-9a-f]{64}", placebo)
    differing = (int(child, 16) ^ int(placebo, 16)).bit_count()
    assert 70 < differing < 186, "about half of the bits"


def test_without_the_salt_no_guess_opens_a_commitment() -> None:
    cycle = CYCLES[0]
    commitment = seal(salt_of(SECRET, cycle), "a" * 64, True)
    guesses = ["", cycle, "0" * 64, salt_of(b"", cycle), salt_of(SECRET, CYCLES[1]), salt_of(SECRET, cycle)[:-1]]
    assert not any(seal(guess, "a" * 64, placebo) == commitment for guess in guesses for placebo in (False, True))


def test_a_seal_is_what_anybody_can_compute() -> None:
    """The first as `sha256sum` gives it for {"placebo":true,"salt":"0…","spec":"1…"}; the second as `openssl dgst
    -sha256 -hmac secret` gives it for salt/cycle."""
    assert seal("0" * 64, "1" * 64, True) == "c3276da876a941f7ed81175bfe944db45324908203b17f3c788992ae6e63b6a5"
    assert salt_of(b"secret", "cycle") == "5e6042a0c5de51bfa40b6e09d92765ece84931fe5b71935505a681eb3eca8fe3"
