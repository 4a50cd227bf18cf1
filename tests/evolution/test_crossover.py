from random import Random

import pytest

from aams.errors import AamsError
from aams.records import Spec
from compiler import spec as reader
from compiler.identity import concise
from evolution.crossover import cross
from evolution.planners import PLANNERS
from evolution.planners.base import Observation
from evolution.spots import fixed_values, put


def mates(champion: Spec, count: int) -> list[Spec]:
    state = Observation(champion, frozenset())
    return [child.spec for child in PLANNERS["random-spec"].ask(state, count, Random(2))]


def test_a_child_is_valid_and_neither_of_its_parents(baseline: Spec) -> None:
    crossed = 0
    for seed, mate in enumerate(mates(baseline, 8)):
        step = cross(baseline, mate, Random(seed))
        assert step == cross(baseline, mate, Random(seed))
        if step is None:
            continue
        crossed += 1
        child, mutation = step
        assert reader.from_tree(child.tree).id == child.id
        assert child.id not in (baseline.id, mate.id)
        assert fixed_values(child.tree) == fixed_values(baseline.tree)
        assert child.tree["training"] in (concise(baseline.tree)["training"], concise(mate.tree)["training"])
        assert (mutation.before, mutation.after) == (baseline.id, mate.id)
    assert crossed >= 4


def blocks_of(spec: Spec) -> list[dict]:
    return [{**block, "repeat": 1} for block in concise(spec.tree)["model"]["blocks"]]


def test_every_block_comes_from_a_parent(language: Spec) -> None:
    for seed, mate in enumerate(mates(language, 6)):
        step = cross(language, mate, Random(seed))
        if step:
            assert all(block in blocks_of(language) + blocks_of(mate) for block in blocks_of(step[0]))


def test_repeats_are_cut_inside(language: Spec) -> None:
    first = language.tree["model"]["blocks"][0]
    other = {**first, "channel": {"op": "gated-mlp"}}
    mate = reader.from_tree(put(language.tree, ("model", "blocks"), [other]))
    children = [step[0] for seed in range(30) if (step := cross(language, mate, Random(seed)))]
    shapes = {tuple(block.get("repeat", 1) for block in child.tree["model"]["blocks"]) for child in children}
    assert (1, 3) in shapes
    assert all(sum(shape) == first["repeat"] for shape in shapes)


def test_twins_have_no_child(baseline: Spec) -> None:
    assert cross(baseline, baseline, Random(0)) is None


def test_refuses_parents_of_two_domains(language: Spec, hybrid: Spec) -> None:
    with pytest.raises(AamsError, match="only specs of one domain"):
        cross(language, hybrid, Random(0))
