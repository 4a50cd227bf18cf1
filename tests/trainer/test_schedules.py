from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.schedules import share

unhurried = settings(max_examples=50, deadline=None)
SCHEDULES = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["constant", "linear", "cosine"]),
        "warmup": st.floats(0, 0.5),
        "floor": st.floats(0, 1),
    }
)


@unhurried
@given(SCHEDULES, st.integers(1, 500))
def test_every_update_gets_a_positive_share_and_never_more_than_the_peak(schedule: dict, steps: int) -> None:
    assert all(0 < share(schedule, step, steps) <= 1 for step in range(steps))


@unhurried
@given(SCHEDULES, st.integers(1, 500))
def test_warm_up_ends_at_the_peak(schedule: dict, steps: int) -> None:
    warmup = round(schedule["warmup"] * steps)
    assert share(schedule, max(0, warmup - 1), steps) == 1
    rising = [share(schedule, step, steps) for step in range(warmup)]
    assert rising == sorted(rising)


@unhurried
@given(SCHEDULES, st.integers(1, 500))
def test_the_way_down_never_rises_and_ends_at_the_floor(schedule: dict, steps: int) -> None:
    warmup = round(schedule["warmup"] * steps)
    falling = [share(schedule, step, steps) for step in range(warmup, steps + 1)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(falling))
    assert falling[-1] == pytest.approx(1 if schedule["op"] == "constant" else schedule["floor"], abs=1e-12)


def test_a_cosine_is_halfway_in_the_middle() -> None:
    assert share({"op": "cosine", "warmup": 0.0, "floor": 0.2}, 50, 100) == pytest.approx(0.6)


def test_a_constant_schedule_needs_no_floor() -> None:
    assert share({"op": "constant", "warmup": 0.5}, 9, 10) == 1
