from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aams
import domains
from aams import bundle
from aams.dispatch import WORK, Dispatch, Plan, dispatch, find, plan_runs, steps
from aams.records import Cost, Run, Spec, Stage
from compiler import spec as specs
from compiler.cost import estimate
from domains import active_interface
from domains.base import Prepared
from safety.contract import CONTRACT_PATH, load_contract
from safety.manifest import manifest_digest, read_manifest

ROOT = Path(aams.__file__).parents[1]
PARENT = Spec("language", {}, "a" * 64)
CHILDREN = [Spec("language", {}, letter * 64) for letter in "bcd"]
COSTS = {
    "a" * 64: Cost(10, 20, 60, 40, 4, 280, 1, 1),
    "b" * 64: Cost(20, 40, 120, 80, 4, 560, 1, 1),
    "c" * 64: Cost(10, 20, 60, 40, 4, 281, 1, 1),
    "d" * 64: Cost(10, 20, 60, 40, 4, 10**9, 1, 1),
}
COMPUTE = 28_000


def runs_of(stage: Stage, children: list[Spec], cycle: str = "language-7", pairs: int = 3) -> tuple[Run, ...]:
    return plan_runs(stage, PARENT, children, COSTS, COMPUTE, cycle, pairs)


def test_a_root_trains_the_spec_itself_once_for_each_pair() -> None:
    runs = runs_of("root", [])
    assert [(run.name, run.arm, run.pair, run.spec) for run in runs] == [
        (f"root-{index}", "root", index, PARENT.id) for index in range(3)
    ]


def test_trials_are_two_controls_and_one_run_of_each_child() -> None:
    runs = runs_of("trial", CHILDREN)
    assert [run.name for run in runs] == ["control-0", "control-1", "child-0", "child-1", "child-2"]
    assert [run.spec for run in runs] == [PARENT.id, PARENT.id, *(child.id for child in CHILDREN)]


def test_an_attempt_joins_a_child_and_a_control_in_every_pair() -> None:
    runs = runs_of("attempt", CHILDREN[:1])
    assert [(run.name, run.pair) for run in runs] == [
        (f"{arm}-{pair}", pair) for pair in range(3) for arm in ("child", "control")
    ]
    assert {run.spec for run in runs if run.arm == "child"} == {CHILDREN[0].id}
    assert {run.spec for run in runs if run.arm == "control"} == {PARENT.id}


def test_equal_flops_decide_the_steps() -> None:
    given = {run.spec: run.steps for run in runs_of("trial", CHILDREN)}
    assert given == {"a" * 64: 100, "b" * 64: 50, "c" * 64: 99, "d" * 64: 1}
    assert all(steps(COSTS[name], COMPUTE) * COSTS[name].step_flops <= COMPUTE for name in ("a" * 64, "c" * 64))


GOLDEN_SEEDS: dict[Stage, list[int]] = {
    "root": [581986004, 2138618272],
    "trial": [1252514462, 712377782, 221169792],
    "attempt": [1916014854, 1115448970, 1094110835, 1939698363],
}


def test_run_seeds_never_change() -> None:
    assert {
        stage: [run.seed for run in runs_of(stage, CHILDREN[:1], pairs=2)] for stage in GOLDEN_SEEDS
    } == GOLDEN_SEEDS


def test_every_run_has_a_seed_of_its_own() -> None:
    stages: list[tuple[Stage, list[Spec]]] = [("root", []), ("trial", CHILDREN), ("attempt", CHILDREN[:1])]
    seeds = [
        run.seed
        for number in range(20)
        for stage, children in stages
        for run in runs_of(stage, children, f"language-{number}", pairs=5)
    ]
    assert len(set(seeds)) == len(seeds) == 20 * (5 + 5 + 10)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_seeds_depend_on_cycle_and_stage_and_not_on_the_specs() -> None:
    one = [run.seed for run in runs_of("trial", CHILDREN)]
    assert [run.seed for run in runs_of("trial", CHILDREN[::-1])] == one
    assert not {run.seed for run in runs_of("trial", CHILDREN, "language-8")} & set(one)
    assert not {run.seed for run in runs_of("attempt", CHILDREN)} & set(one)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    windows = np.arange(2 * 257, dtype=np.uint16).astype(np.uint8).reshape(2, 257)
    splits = {name: {"tokens": windows} for name in ("validation", "replay", "probe")}
    arrays = {"train": {"tokens": windows.reshape(-1)}, **splits}
    return Prepared("small", "d" * 64, active_interface("language"), arrays, {"tokens": windows + 1})


@pytest.fixture(scope="module")
def plan() -> Plan:
    one = specs.read(Path(domains.__file__).parent / "language" / "baseline.yaml")
    costs = {one.id: estimate(one.tree, active_interface("language"))}
    runs = plan_runs("root", one, [], costs, 10**9, "language-0123", 2)
    return Plan("language-0123", "root", "language", "", "", (one,), runs, 10**9)


def send(root: Path, plan: Plan, prepared: Prepared) -> Dispatch:
    return dispatch(root, plan, prepared, load_contract(ROOT / CONTRACT_PATH))


def test_a_dispatch_lies_whole_in_its_own_folder(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    made = send(tmp_path, plan, prepared)
    assert made.work == tmp_path / WORK / "language-0123" / "root"
    assert read_manifest(made.work / "manifest.json") == made.manifest
    assert bundle.unpack(made.archive, tmp_path / "out") == made.manifest
    inputs = made.manifest.inputs
    assert (inputs.runs, inputs.compute_flops, inputs.corpus) == (plan.runs, 10**9, "small")
    assert inputs.digests.keys() == {"contract", "corpus", "evaluator", "lock", "templates"}
    assert inputs.digests["corpus"] == "d" * 64
    assert {path for path in made.work.rglob("*") if path.is_file()} == {made.archive, made.work / "manifest.json"}


def test_no_question_of_the_exam_travels(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    made = send(tmp_path, plan, prepared)
    assert not [name for name in made.manifest.inputs.files if "probe" in name or "holdout" in name]
    assert prepared.holdout["tokens"].tobytes() not in made.archive.read_bytes()


def test_equal_arguments_give_equal_inputs_and_another_nonce(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    one, other = (send(tmp_path / name, plan, prepared).manifest for name in ("one", "other"))
    assert one.inputs == other.inputs
    assert manifest_digest(one.inputs) == manifest_digest(other.inputs)
    assert one.envelope.nonce != other.envelope.nonce
    changed = send(tmp_path / "changed", replace(plan, compute_flops=10**9 + 1), prepared).manifest
    assert manifest_digest(changed.inputs) != manifest_digest(one.inputs)


def test_a_dispatch_is_found_again_and_a_damaged_one_is_not(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    assert find(tmp_path, plan.cycle, plan.stage) is None
    made = send(tmp_path, plan, prepared)
    assert find(tmp_path, plan.cycle, plan.stage) == made
    assert find(tmp_path, plan.cycle, "trial") is None
    (made.work / "manifest.json").rename(tmp_path / "aside.json")
    assert find(tmp_path, plan.cycle, plan.stage) is None
    (tmp_path / "aside.json").rename(made.work / "manifest.json")
    made.archive.unlink()
    assert find(tmp_path, plan.cycle, plan.stage) is None


def test_a_dispatch_that_is_made_again_takes_the_place_of_the_first(
    tmp_path: Path, plan: Plan, prepared: Prepared
) -> None:
    send(tmp_path, plan, prepared)
    again = send(tmp_path, plan, prepared)
    assert find(tmp_path, plan.cycle, plan.stage) == again
