import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aams.records import Mutation, Spec
from compiler import spec as reader
from compiler.fields import Choice, Field, Flag, Float, Group, Int, Many, Slot
from compiler.identity import full, spec_id
from compiler.ops import OPS
from compiler.skeletons import grammar
from evolution.edits import differ, proven
from evolution.mutators import MUTATORS, mutate
from evolution.spots import at, fixed_values, is_fixed, put, spots

VALUE_OPERATORS = [
    "scale-number",
    "toggle-option",
    "flip-choice",
    "swap-op",
    "widen",
    "narrow",
    "deepen",
    "shorten",
    "change-recipe",
]

IDS_OF_CHILDREN = """
import json, sys
from pathlib import Path
from random import Random
from compiler import spec
from evolution.mutators import MUTATORS, mutate
parent = spec.read(Path(sys.argv[1]))
steps = {name: mutate(parent, name, Random(11)) for name in MUTATORS}
print(json.dumps({name: step and step[0].id for name, step in steps.items()}))
"""


def steps_of(path: str) -> tuple[str | int, ...]:
    return tuple(int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path))


def assert_true_of(mutation: Mutation, parent: Spec, child: Spec) -> None:
    path = steps_of(mutation.path)
    *spot, place = path
    before, after = mutation.before, mutation.after
    if mutation.operator in ("insert-block", "duplicate-block"):
        assert before is None
        assert at(child.tree, path) == after
        assert len(at(child.tree, spot)) == len(at(parent.tree, spot)) + 1
    elif mutation.operator == "delete-block":
        assert after is None
        assert at(parent.tree, path) == before
        assert len(at(child.tree, spot)) == len(at(parent.tree, spot)) - 1
    elif mutation.operator == "move-block":
        assert at(child.tree, (*spot, after)) == at(parent.tree, (*spot, before))
    elif mutation.operator == "split-repeat":
        assert at(parent.tree, path) == before
        assert at(child.tree, spot)[place : place + 2] == after
        assert sum(part.get("repeat", 1) for part in after) == before["repeat"]
    elif mutation.operator == "merge-repeat":
        assert at(parent.tree, spot)[place : place + 2] == before
        assert at(child.tree, path) == after
    elif isinstance(after, dict):
        assert at(full(parent.tree), path)["op"] == before["op"]
        assert spec_id(put(child.tree, path, after)) == child.id
    else:
        assert at(full(parent.tree), path) == before
        assert at(full(child.tree), path) == after


def grown(spec: Spec, operators: list[str]) -> Spec:
    """The spec after these operators, where they apply."""
    for number, operator in enumerate(operators):
        step = mutate(spec, operator, Random(number))
        spec = step[0] if step else spec
    return spec


@pytest.mark.parametrize("operator", MUTATORS)
def test_every_operator_gives_valid_children_that_are_true_to_what_they_say(operator: str, baseline: Spec) -> None:
    parent = grown(baseline, ["split-repeat", "split-repeat"])
    untouched = copy.deepcopy(parent.tree)
    for seed in range(2):
        step = mutate(parent, operator, Random(seed))
        assert step == mutate(parent, operator, Random(seed))
        assert parent.tree == untouched
        if step is None:
            continue
        child, mutation = step
        assert reader.from_tree(json.loads(json.dumps(child.tree))).id == child.id != parent.id
        assert fixed_values(child.tree) == fixed_values(parent.tree)
        assert mutation.operator == operator
        assert mutation.rationale
        assert "\n" not in mutation.rationale
        assert_true_of(mutation, parent, child)


@pytest.mark.parametrize("operator", MUTATORS)
def test_every_operator_has_a_legal_site_in_some_baseline(operator: str, language: Spec, hybrid: Spec) -> None:
    parents = [grown(spec, ["split-repeat", "toggle-option"]) for spec in (language, hybrid)]
    assert any(mutate(parent, operator, Random(0)) for parent in parents)


def test_another_process_with_another_hash_seed_gives_the_same_children(baseline: Spec) -> None:
    path = Path(__file__).parents[2] / "domains" / baseline.domain / "baseline.yaml"
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "4242"}
    done = subprocess.run(
        [sys.executable, "-c", IDS_OF_CHILDREN, str(path)], env=environment, capture_output=True, check=True, text=True
    )
    here = {name: mutate(baseline, name, Random(11)) for name in MUTATORS}
    assert json.loads(done.stdout) == {name: step and step[0].id for name, step in here.items()}


def test_operators_say_when_they_have_no_legal_site(language: Spec) -> None:
    one = language
    while shorter := mutate(one, "shorten", Random(0)):
        one = shorter[0]
    assert at(full(one.tree), ("model", "blocks", 0, "repeat")) == 1
    for operator in ("swap-fusion", "delete-block", "move-block", "split-repeat", "merge-repeat"):
        assert mutate(one, operator, Random(0)) is None


@pytest.mark.parametrize("operator", VALUE_OPERATORS)
def test_everything_but_the_mutated_place_stays_as_the_person_wrote_it(operator: str, language: Spec) -> None:
    for seed in range(5):
        step = mutate(language, operator, Random(seed))
        assert step
        child, mutation = step
        path = steps_of(mutation.path)
        assert put(child.tree, path, at(language.tree, path)) == language.tree


def test_a_value_that_becomes_its_default_is_left_unwritten(language: Spec) -> None:
    for seed in range(60):
        step = mutate(language, "flip-choice", Random(seed))
        assert step
        child, mutation = step
        if mutation.path.endswith("qk_norm"):
            assert (mutation.before, mutation.after) == (True, False)
            assert "qk_norm" not in at(child.tree, ("model", "blocks", 0, "mixer"))
            return
    pytest.fail("the flag was never flipped")


def test_a_swap_keeps_what_both_ops_call_by_one_name(language: Spec) -> None:
    afters = [step[1].after for seed in range(40) if (step := mutate(language, "swap-op", Random(seed)))]
    gated = next(after for after in afters if after["op"] == "gated-mlp")
    assert gated["activation"] == at(language.tree, ("model", "blocks", 0, "channel", "activation"))


def test_a_window_longer_than_every_sequence_is_no_difference(hybrid: Spec) -> None:
    path = ("model", "language", "blocks", 0, "mixer", "window")
    assert not differ(hybrid, reader.from_tree(put(hybrid.tree, path, 4096)))
    assert differ(hybrid, reader.from_tree(put(hybrid.tree, path, 8)))


def test_numbers_are_short_decimals_after_many_steps(baseline: Spec) -> None:
    spec = baseline
    rng = Random(5)
    for _ in range(12):
        for operator in ("change-recipe", "scale-number"):
            step = mutate(spec, operator, rng)
            spec = step[0] if step else spec
    numbers = [spot.value for spot in spots(spec.tree) if isinstance(spot.value, float)]
    assert numbers
    assert all(number == float(f"{number:.4g}") for number in numbers)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**64), operators=st.lists(st.sampled_from(list(MUTATORS)), min_size=30, max_size=30))
def test_long_chains_never_leave_the_search_space(baseline: Spec, seed: int, operators: list[str]) -> None:
    rng = Random(seed)
    spec = baseline
    for operator in operators:
        step = mutate(spec, operator, rng)
        if step:
            child, mutation = step
            assert child.id != spec.id
            assert_true_of(mutation, spec, child)
            spec = child
    assert reader.from_tree(spec.tree).id == spec.id
    assert fixed_values(spec.tree) == fixed_values(baseline.tree)


def slots(fields: tuple, domain: str, path: tuple[str, ...] = ()) -> set[str]:
    """Every kind of op that a grammar asks for."""
    found: set[str] = set()
    for field in fields:
        here = (*path, field.name)
        if isinstance(field, Slot) and not is_fixed(domain, here):
            found.add(field.kind)
        elif isinstance(field, Group):
            found |= slots(field.fields, domain, here)
        elif isinstance(field, Many):
            found |= slots(field.item.fields, domain, here)
    return found


def neighbours_by_op(spec: Spec) -> dict[tuple[str, str], Spec]:
    """One spec for every op that stands in `spec` or that one swap puts there."""
    found = {(spot.field.kind, spot.value["op"]): spec for spot in spots(spec.tree) if isinstance(spot.field, Slot)}
    kinds = {spot.path: spot.field.kind for spot in spots(spec.tree) if isinstance(spot.field, Slot)}
    for operator in ("swap-op", "swap-fusion", "change-recipe"):
        for edit in MUTATORS[operator].edits(spec.tree, Random(0)):
            if isinstance(edit.after, dict) and (kinds[edit.path], edit.after["op"]) not in found:
                child = proven(spec, edit.tree)
                if child:
                    found[kinds[edit.path], edit.after["op"]] = child
    return found


def test_every_op_of_every_kind_is_one_swap_away(baseline: Spec) -> None:
    kinds = slots(grammar(baseline.domain), baseline.domain)
    assert set(neighbours_by_op(baseline)) == {(kind, name) for kind in kinds for name in OPS[kind]}


def has_alternatives(field: Field) -> bool:
    """Whether a leaf or a slot may hold more than one thing."""
    match field:
        case Int() | Float():
            return field.low < field.high
        case Choice():
            return len(field.options) > 1
        case Slot():
            return len(OPS[field.kind]) > 1
    return isinstance(field, Flag)


def test_every_field_that_is_not_fixed_is_reached_by_some_operator(baseline: Spec) -> None:
    wanted: set[tuple[str, str]] = set()
    reached: set[tuple[str, str]] = set()
    for spec in neighbours_by_op(baseline).values():
        by_path = {spot.path: (spot.owner, spot.field.name) for spot in spots(spec.tree)}
        leaves = {by_path[spot.path] for spot in spots(spec.tree) if has_alternatives(spot.field)}
        wanted |= leaves
        for mutator in MUTATORS.values():
            if not leaves - reached:
                break
            for edit in mutator.edits(spec.tree, Random(0)):
                key = by_path.get(edit.path)
                if key in leaves - reached and proven(spec, edit.tree):
                    reached.add(key)
    assert reached == wanted


def test_predicted_effects_are_small() -> None:
    assert all(0 < abs(mutator.effect) <= 0.01 for mutator in MUTATORS.values())
