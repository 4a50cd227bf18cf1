from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import aams
import domains
from aams import bundle
from aams.dispatch import WORK, Dispatch, Plan, dispatch, find, flops, plan_runs, reserved_flops, steps
from aams.records import Cost, Envelope, Inputs, Run, Rung, Spec, Stage
from compiler import spec as specs
from compiler.cost import estimate
from domains import active_interface
from domains.base import Prepared
from safety.contract import CONTRACT_PATH, load_contract
from safety.manifest import manifest_digest, new_nonce, read_manifest

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


def runs_of(
    stage: Stage, children: list[Spec], cycle: str = "language-7", pairs: Iterable[int] = range(3)
) -> tuple[Run, ...]:
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
    "root": [1837096572, 520446464],
    "trial": [537229463, 979193232, 348078618],
    "attempt": [518081274, 707828623, 1209452503, 1464856956],
}


def test_run_seeds_never_change() -> None:
    assert {
        stage: [run.seed for run in runs_of(stage, CHILDREN[:1], pairs=range(2))] for stage in GOLDEN_SEEDS
    } == GOLDEN_SEEDS


def test_every_run_has_a_seed_of_its_own() -> None:
    stages: list[tuple[Stage, list[Spec]]] = [("root", []), ("trial", CHILDREN), ("attempt", CHILDREN[:1])]
    seeds = [
        run.seed
        for number in range(20)
        for stage, children in stages
        for run in runs_of(stage, children, f"language-{number}", pairs=range(5))
    ]
    assert len(set(seeds)) == len(seeds) == 20 * (5 + 5 + 10)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_run_is_the_same_however_its_pairs_are_batched() -> None:
    whole = runs_of("attempt", CHILDREN[:1], pairs=range(16))
    batches = [runs_of("attempt", CHILDREN[:1], pairs=range(start, start + 4)) for start in range(0, 16, 4)]
    assert tuple(run for batch in batches for run in batch) == whole
    assert [run.pair for run in batches[3]] == [12, 12, 13, 13, 14, 14, 15, 15]


def test_compute_is_counted_over_all_runs() -> None:
    runs = runs_of("trial", CHILDREN[:2])
    assert flops(runs, COSTS) == 3 * 28_000 + 99 * 281 == sum(run.steps * COSTS[run.spec].step_flops for run in runs)
    assert flops((), COSTS) == 0


def test_an_attempt_is_accounted_alike_whatever_its_child_costs_and_never_with_too_little() -> None:
    def accounted(stage: Stage, child: Spec) -> int:
        runs = runs_of(stage, [child])
        assert reserved_flops(stage, runs, COSTS, COMPUTE) >= flops(runs, COSTS)
        return reserved_flops(stage, runs, COSTS, COMPUTE)

    assert accounted("attempt", CHILDREN[0]) == accounted("attempt", CHILDREN[1]) == 6 * COMPUTE
    assert accounted("attempt", CHILDREN[2]) == 3 * COMPUTE + 3 * 10**9, "its only step costs more"
    assert accounted("trial", CHILDREN[1]) == flops(runs_of("trial", [CHILDREN[1]]), COSTS) < 3 * COMPUTE


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
    runs = plan_runs("root", one, [], costs, 10**9, "language-0123", range(2))
    return Plan("language-0123", "root", 0, "language", "G000", "", "", "", (one,), runs, 10**9)


def sealed(inputs: Inputs) -> Envelope:
    return Envelope(new_nonce(), "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", "")


def send(root: Path, plan: Plan, prepared: Prepared) -> Dispatch:
    return dispatch(root, plan, prepared, load_contract(ROOT / CONTRACT_PATH), sealed)


def test_a_dispatch_lies_whole_in_its_own_folder(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    made = send(tmp_path, plan, prepared)
    assert made.work == tmp_path / WORK / "language-0123" / "root-0"
    assert read_manifest(made.work / "manifest.json") == made.manifest
    assert bundle.unpack(made.archive, tmp_path / "out") == made.manifest
    inputs = made.manifest.inputs
    assert (inputs.runs, inputs.compute_flops, inputs.corpus) == (plan.runs, 10**9, "small")
    assert (inputs.stage, inputs.batch, inputs.generation, inputs.sealed) == ("root", 0, "G000", "")
    assert inputs.digests.keys() == {"contract", "corpus", "domains", "evaluator", "lock", "templates"}
    assert inputs.digests["corpus"] == "d" * 64
    assert {path for path in made.work.rglob("*") if path.is_file()} == {made.archive, made.work / "manifest.json"}


def test_only_the_children_of_a_trial_climb_rungs_those_of_their_domain(
    tmp_path: Path, plan: Plan, prepared: Prepared
) -> None:
    children = tuple(replace(plan.runs[0], name=f"child-{number}", arm="child") for number in range(4))
    trial = replace(plan, stage="trial", generation="", runs=children)
    plans = {
        "trial": trial,
        "attempt": replace(trial, stage="attempt", generation="G001"),
        "hybrid": replace(trial, domain="hybrid"),
        "elsewhere": replace(trial, domain="elsewhere"),
        "root": plan,
    }
    planned = {name: send(tmp_path / name, one, prepared).manifest.inputs.rungs for name, one in plans.items()}
    assert planned == {"trial": (Rung(25, 2), Rung(50, 1)), "attempt": (), "hybrid": (), "elsewhere": (), "root": ()}


def test_no_question_of_the_exam_travels(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    made = send(tmp_path, plan, prepared)
    assert not [name for name in made.manifest.inputs.files if "probe" in name or "holdout" in name]
    assert prepared.holdout["tokens"].tobytes() not in made.archive.read_bytes()


def test_equal_arguments_give_equal_inputs_and_another_nonce(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    one, other = (send(tmp_path / name, plan, prepared).manifest for name in ("one", "other"))
    assert one.inputs == other.inputs
    assert manifest_digest(one.inputs) == manifest_digest(other.inputs)
    assert one.envelope.nonce != other.envelope.nonce
    for change in ({"compute_flops": 10**9 + 1}, {"batch": 1}, {"generation": "G001"}, {"sealed": "5" * 64}):
        changed = send(tmp_path / "changed", replace(plan, **change), prepared).manifest
        assert manifest_digest(changed.inputs) != manifest_digest(one.inputs)


def test_what_seals_a_dispatch_sees_its_inputs_once_and_its_envelope_travels(
    tmp_path: Path, plan: Plan, prepared: Prepared
) -> None:
    seen: list[Inputs] = []

    def seal(inputs: Inputs) -> Envelope:
        seen.append(inputs)
        return Envelope("7" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", manifest_digest(inputs))

    made = dispatch(tmp_path, plan, prepared, load_contract(ROOT / CONTRACT_PATH), seal)
    assert seen == [made.manifest.inputs]
    assert made.manifest.envelope == Envelope(
        "7" * 64, "2026-11-21T01:40:00Z", "2026-11-22T01:40:00Z", manifest_digest(seen[0])
    )
    assert bundle.unpack(made.archive, tmp_path / "out").envelope == made.manifest.envelope


def test_a_dispatch_is_found_again_and_a_damaged_one_is_not(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    assert find(tmp_path, plan.cycle, plan.stage, plan.batch) is None
    made = send(tmp_path, plan, prepared)
    assert find(tmp_path, plan.cycle, plan.stage, plan.batch) == made
    assert find(tmp_path, plan.cycle, "trial", 0) is None
    assert find(tmp_path, plan.cycle, plan.stage, 1) is None
    (made.work / "manifest.json").rename(tmp_path / "aside.json")
    assert find(tmp_path, plan.cycle, plan.stage, plan.batch) is None
    (tmp_path / "aside.json").rename(made.work / "manifest.json")
    made.archive.unlink()
    assert find(tmp_path, plan.cycle, plan.stage, plan.batch) is None


def test_a_dispatch_that_is_made_again_takes_the_place_of_the_first(
    tmp_path: Path, plan: Plan, prepared: Prepared
) -> None:
    send(tmp_path, plan, prepared)
    again = send(tmp_path, plan, prepared)
    assert find(tmp_path, plan.cycle, plan.stage, plan.batch) == again


def test_the_batches_of_an_attempt_lie_side_by_side(tmp_path: Path, plan: Plan, prepared: Prepared) -> None:
    batches = [send(tmp_path, replace(plan, batch=batch), prepared) for batch in range(3)]
    assert [made.work.name for made in batches] == ["root-0", "root-1", "root-2"]
    assert [find(tmp_path, plan.cycle, plan.stage, batch) for batch in range(3)] == batches
