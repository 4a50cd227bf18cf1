"""Every gate lets one proposal pass and refuses one for every reason it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.records import Cost, Run
from safety.contract import CONTRACT_PATH, load_contract
from safety.gates import GATES, check_gates
from safety.gates.base import Proposal

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
PARENT, CHILD = "a" * 64, "b" * 64
COST = Cost(1_000_000, 1, 3, 0, 100, 300, 1_000_000_000, 16_000_000)
PASSING = Proposal(
    domain="language",
    corpus=CONTRACT.data["language"][0],
    active_corpus=CONTRACT.data["language"][0],
    parent=PARENT,
    head=PARENT,
    tried=frozenset({PARENT}),
    children=(CHILD,),
    costs={PARENT: COST, CHILD: COST},
    runs=(Run("control-0", "control", 0, PARENT, 1, 2000), Run("child-0", "child", 0, CHILD, 2, 2000)),
    compute_flops=2000 * 300,
    parallel_count=2,
)

FAILING: dict[str, list[tuple[dict[str, Any], str]]] = {
    "budget": [
        (
            {"runs": (replace(PASSING.runs[0], steps=2001),)},
            "takes more training steps than the contract allows; got 2,001, the limit is 2,000",
        ),
        ({"costs": {PARENT: COST, CHILD: replace(COST, items=4901)}}, "processes more items than the contract allows"),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, activation_bytes=10_968_000_001)}},
            "needs more memory than the contract allows",
        ),
        ({"costs": {PARENT: COST, CHILD: replace(COST, parameters=10**15)}}, "returns more bytes"),
    ],
    "data": [
        ({"corpus": "the-whole-internet", "active_corpus": "the-whole-internet"}, "does not allow this corpus"),
        ({"domain": "speech"}, "does not allow this corpus; got allowed in speech: none"),
        ({"active_corpus": "another"}, "is not the active one of the domain; got active is another"),
    ],
    "fairness": [
        ({"runs": (replace(PASSING.runs[0], steps=1899),)}, "whole training steps can't take this compute"),
        ({"compute_flops": 100, "runs": PASSING.runs[:1]}, "got 600,000 of 100 FLOPs in 2000 steps"),
    ],
    "lineage": [
        ({"head": CHILD, "children": ()}, "the parent is not the champion"),
        ({"children": (PARENT,)}, "the child is functionally its parent"),
        ({"tried": frozenset({CHILD})}, "this lineage has tried the child before"),
        ({"children": (CHILD, CHILD)}, "the same child is proposed more than once; got 2 times"),
    ],
}


def test_a_sound_proposal_passes_every_gate() -> None:
    assert check_gates(PASSING, CONTRACT) == ()


def test_a_root_passes_without_a_parent() -> None:
    root = replace(PASSING, parent="", head="", tried=frozenset(), runs=(Run("root-0", "root", 0, CHILD, 1, 2000),))
    assert check_gates(root, CONTRACT) == ()


@pytest.mark.parametrize(("name", "change", "complaint"), [(name, *case) for name in FAILING for case in FAILING[name]])
def test_a_gate_refuses_with_its_own_name_and_remedy(name: str, change: dict[str, Any], complaint: str) -> None:
    (finding,) = check_gates(replace(PASSING, **change), CONTRACT)
    assert complaint in f"{finding.what}; got {finding.got}"
    assert finding.gate == name
    assert finding.advice == GATES[name].REMEDY
    assert finding.subject


def test_exactly_the_limit_passes() -> None:
    costs = {PARENT: COST, CHILD: replace(COST, items=4900, activation_bytes=10_968_000_000)}
    assert check_gates(replace(PASSING, costs=costs), CONTRACT) == ()


def test_runs_one_after_the_other_need_the_memory_of_the_largest() -> None:
    costs = {PARENT: COST, CHILD: replace(COST, activation_bytes=11_900_000_000)}
    assert check_gates(replace(PASSING, costs=costs, parallel_count=1), CONTRACT) == ()


def test_a_declaration_too_large_for_any_machine_is_refused_in_plain_numbers() -> None:
    costs = {PARENT: COST, CHILD: Cost(*[10**30] * 8)}
    findings = check_gates(replace(PASSING, costs=costs), CONTRACT)
    assert [finding.gate for finding in findings] == ["budget"] * 3 + ["fairness"]


@pytest.mark.parametrize("name", GATES)
def test_every_gate_explains_itself_and_has_fixtures(name: str) -> None:
    gate = GATES[name]
    assert name == gate.ID
    assert gate.PROTECTS.endswith(".")
    assert gate.REMEDY.endswith(".")
    assert FAILING[name]
