"""A placebo is its parent in disguise: nothing that is trained, rendered or paid for may tell the two apart."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from aams.dispatch import steps as planned
from aams.records import Spec
from aams.strict import path_text
from compiler import spec as reader
from compiler.cost import estimate
from compiler.identity import full
from compiler.ops import OPS
from compiler.render import render
from domains import DOMAINS, active_interface
from evolution.diff import diff
from evolution.edits import proven
from evolution.equivalence import disguise
from evolution.spots import put
from trainer.schedules import share

WARMUP = "training.schedule.warmup"


def schedule_of(spec: Spec) -> dict[str, Any]:
    return dict(full(spec.tree)["training"]["schedule"])


def with_schedule(spec: Spec, **schedule: Any) -> Spec:
    changed = proven(spec, put(spec.tree, ("training", "schedule"), schedule))
    assert changed
    return changed


def steps_of(spec: Spec) -> int:
    return planned(estimate(spec.tree, active_interface(spec.domain)), DOMAINS[spec.domain].COMPUTE_FLOPS)


def assert_disguised(parent: Spec, steps: int, seed: int) -> Spec:
    """Every promise of a disguise; gives the twin."""
    found = disguise(parent, steps, Random(seed))
    assert found and found == disguise(parent, steps, Random(seed))
    twin, mutation = found
    assert twin.id != parent.id
    assert reader.from_tree(twin.tree).id == twin.id
    interface = active_interface(parent.domain)
    assert render(twin, interface).replace(twin.id, parent.id) == render(parent, interface)
    assert estimate(twin.tree, interface) == estimate(parent.tree, interface)
    before, after = schedule_of(parent), schedule_of(twin)
    assert round(after["warmup"] * steps) == round(before["warmup"] * steps)
    probed = {0, 1, steps // 2, steps - 1, *range(0, steps, max(1, steps // 50)), round(before["warmup"] * steps)}
    assert all(share(before, step, steps) == share(after, step, steps) for step in probed)
    assert {**after, "warmup": before["warmup"]} == before, "no other number of the schedule moves"
    assert {path_text(change.path) for change in diff(parent.tree, twin.tree)} == {WARMUP}
    assert (mutation.operator, mutation.path, mutation.predicted_effect) == ("change-number", WARMUP, 0.0)
    assert (mutation.before, mutation.after) == (before["warmup"], after["warmup"])
    return twin


@pytest.mark.parametrize("seed", range(5))
def test_a_baseline_in_disguise_trains_exactly_alike(baseline: Spec, seed: int) -> None:
    assert_disguised(baseline, steps_of(baseline), seed)


@pytest.mark.parametrize("op", OPS["schedule"])
@pytest.mark.parametrize("warmup", [0.0, 0.00003, 0.05, 0.1234567, 0.4999, 0.5])
@pytest.mark.parametrize("steps", [1, 2, 5, 90, 833, 2000])
def test_every_schedule_can_be_disguised(baseline: Spec, op: str, warmup: float, steps: int) -> None:
    floor = {} if op == "constant" else {"floor": 0.1}
    assert_disguised(with_schedule(baseline, op=op, warmup=warmup, **floor), steps, seed=11)


@pytest.mark.parametrize("domain", sorted(DOMAINS))
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), steps=st.integers(1, 2000), seed=st.integers(0, 2**64))
def test_any_spec_can_be_disguised(
    domain: str,
    valid_trees: Callable[[str], SearchStrategy[dict[str, Any]]],
    data: st.DataObject,
    steps: int,
    seed: int,
) -> None:
    spec = reader.from_tree(data.draw(valid_trees(domain)))
    if schedule_of(spec)["warmup"] < 0.5 or steps % 4 != 3:
        assert_disguised(spec, steps, seed)


def test_a_disguise_is_not_always_the_same(baseline: Spec) -> None:
    steps = steps_of(baseline)
    twins = {found[0].id for seed in range(40) if (found := disguise(baseline, steps, Random(seed)))}
    assert len(twins) > 1


def test_a_disguise_can_be_disguised_again(baseline: Spec) -> None:
    spec, steps = baseline, steps_of(baseline)
    for seed in range(10):
        spec = assert_disguised(spec, steps, seed)
    assert round(schedule_of(spec)["warmup"] * steps) == round(schedule_of(baseline)["warmup"] * steps)


def test_where_no_short_decimal_means_the_same_warm_up_there_is_no_disguise(baseline: Spec) -> None:
    assert disguise(with_schedule(baseline, op="constant", warmup=0.0), 10**6, Random(7)) is None
    assert disguise(with_schedule(baseline, op="constant", warmup=0.5), 7, Random(7)) is None, "3.5 is 4, less is 3"


def test_the_spec_in_disguise_is_left_as_it_was(baseline: Spec) -> None:
    before = full(baseline.tree)
    disguise(baseline, steps_of(baseline), Random(7))
    assert full(baseline.tree) == before
