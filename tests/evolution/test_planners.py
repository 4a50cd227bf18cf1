from random import Random

import pytest

from aams.records import Spec
from compiler import spec as reader
from compiler.cost import estimate
from domains import active_interface
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from evolution.spots import fixed_values


@pytest.mark.parametrize("name", PLANNERS)
def test_children_are_valid_and_new(name: str, baseline: Spec) -> None:
    planner = PLANNERS[name]
    assert name == planner.NAME
    first = planner.ask(Observation(baseline, frozenset()), 6, Random(1))
    tried = frozenset(child.spec.id for child in first)
    second = planner.ask(Observation(baseline, tried), 6, Random(1))
    ids = [child.spec.id for child in (*first, *second)]
    assert len(set(ids)) == len(ids) == 12
    assert baseline.id not in ids
    for child in first:
        assert reader.from_tree(child.spec.tree) == child.spec
        assert fixed_values(child.spec.tree) == fixed_values(baseline.tree)
        assert (child.parent, child.planner) == (baseline.id, name)
        assert child.rationale
        assert child.mutations
        assert -1 <= child.predicted_effect <= 1


@pytest.mark.parametrize("name", PLANNERS)
def test_equal_questions_get_equal_answers(name: str, baseline: Spec) -> None:
    state = Observation(baseline, frozenset())
    assert PLANNERS[name].ask(state, 3, Random(9)) == PLANNERS[name].ask(state, 3, Random(9))


@pytest.mark.parametrize("name", PLANNERS)
def test_refused_children_are_drawn_again(name: str, baseline: Spec) -> None:
    interface = active_interface(baseline.domain)
    limit = 2 * estimate(baseline.tree, interface).parameters

    def small(spec: Spec) -> bool:
        return estimate(spec.tree, interface).parameters <= limit

    children = PLANNERS[name].ask(Observation(baseline, frozenset()), 5, Random(3), admit=small)
    assert len(children) == 5
    assert all(small(child.spec) for child in children)


@pytest.mark.parametrize("name", PLANNERS)
def test_says_so_when_nothing_is_admitted(name: str, language: Spec) -> None:
    assert PLANNERS[name].ask(Observation(language, frozenset()), 2, Random(0), admit=lambda spec: False) == ()


def test_the_champion_is_mutated_once_or_twice(baseline: Spec) -> None:
    children = PLANNERS["mutate-champion"].ask(Observation(baseline, frozenset()), 30, Random(4))
    counts = [len(child.mutations) for child in children]
    assert set(counts) == {1, 2}
    assert counts.count(1) > counts.count(2)
