from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aams.errors import AamsError
from aams.records import Spec
from compiler.identity import spec_id
from evolution.diff import apply, diff
from evolution.equivalence import EQUIVALENCES, rewrite
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from evolution.spots import at, put


def drawn(champion: Spec, seed: int) -> list[Spec]:
    """A mutated champion and a random spec."""
    state = Observation(champion, frozenset())
    return [child.spec for planner in PLANNERS.values() for child in planner.ask(state, 1, Random(seed))]


def test_equal_specs_do_not_differ(baseline: Spec) -> None:
    assert diff(baseline.tree, baseline.tree) == ()


def test_defaults_that_are_written_out_are_no_difference(baseline: Spec) -> None:
    step = rewrite(baseline, "write-default", Random(0))
    assert step
    assert diff(baseline.tree, step[0].tree) == ()


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_applying_a_difference_leads_from_one_spec_to_the_other(baseline: Spec, seed: int) -> None:
    specs = [baseline, *drawn(baseline, seed)]
    for first in specs:
        for second in specs:
            assert spec_id(apply(first.tree, diff(first.tree, second.tree))) == second.id


def test_a_block_in_front_is_one_insertion(language: Spec) -> None:
    blocks = at(language.tree, ("model", "blocks"))
    front = {"mixer": {"op": "attention", "heads": 2}, "channel": {"op": "mlp"}}
    (change,) = diff(language.tree, put(language.tree, ("model", "blocks"), [front, *blocks]))
    assert (change.action, change.path, change.after) == ("insert", ("model", "blocks", 0), front)


def test_key_heads_that_follow_the_heads_are_one_change(language: Spec) -> None:
    path = ("model", "blocks", 0, "mixer", "heads")
    (change,) = diff(language.tree, put(language.tree, path, 8))
    assert (change.action, change.path, change.before, change.after) == ("set", path, 4, 8)


def test_refuses_to_compare_two_domains(language: Spec, hybrid: Spec) -> None:
    with pytest.raises(AamsError, match="only specs of one domain"):
        diff(language.tree, hybrid.tree)


@pytest.mark.parametrize("operator", EQUIVALENCES)
def test_a_rewrite_keeps_the_id_and_changes_the_text(operator: str, baseline: Spec) -> None:
    for seed in range(5):
        step = rewrite(baseline, operator, Random(seed))
        assert step == rewrite(baseline, operator, Random(seed))
        if step:
            assert step[0].id == baseline.id
            assert step[0].tree != baseline.tree
            assert step[1].predicted_effect == 0


def test_a_rewrite_says_when_nothing_is_left_to_write(baseline: Spec) -> None:
    spec = baseline
    while step := rewrite(spec, "write-default", Random(1)):
        spec = step[0]
    assert spec.id == baseline.id
    assert rewrite(spec, "write-default", Random(2)) is None
