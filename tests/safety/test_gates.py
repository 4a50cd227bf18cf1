"""Every gate lets one proposal pass and refuses one for every reason it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aams.records import Cost, Run
from domains import DOMAINS, load_corpora
from safety.contract import CONTRACT_PATH, load_contract
from safety.gates import GATES, check_gates
from safety.gates.base import Proposal

CONTRACT = load_contract(Path(__file__).parents[2] / CONTRACT_PATH)
PARENT, CHILD = "a" * 64, "b" * 64
COST = Cost(1_000_000, 1, 3, 0, 100, 300, 1_000_000_000, 16_000_000)
PASSING = Proposal(
    domain="language",
    corpus=CONTRACT.data.allowed["language"][0],
    source="numpy",
    active_corpus=CONTRACT.data.allowed["language"][0],
    parent=PARENT,
    head=PARENT,
    tried=frozenset({PARENT}),
    children=(CHILD,),
    costs={PARENT: COST, CHILD: COST},
    runs=(Run("control-0", "control", 0, PARENT, 1, 2000), Run("child-0", "child", 0, CHILD, 2, 2000)),
    compute_flops=2000 * 300,
    month_flops_left=2 * 2000 * 300,
    parallel_count=2,
)

FAILING: dict[str, list[tuple[dict[str, Any], str]]] = {
    "budget": [
        (
            {"runs": (replace(PASSING.runs[0], steps=2001),)},
            "takes more training steps than the contract allows; got 2,001, the limit is 2,000",
        ),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, items=4901)}},
            "processes more tokens or samples than the contract allows; got 10,002,000, the limit is 10,000,000",
        ),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, item_tokens=50)}},
            "processes more tokens or samples than the contract allows; got 10,200,000, the limit is 10,000,000",
        ),
        (
            {"month_flops_left": 1_199_999},
            "takes more compute than is left of the month; got 1,200,000, the limit is 1,199,999",
        ),
        ({"month_flops_left": 0}, "takes more compute than is left of the month; got 1,200,000, the limit is 0"),
        ({"month_flops_left": -1}, "takes more compute than is left of the month; got 1,200,000, the limit is -1"),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, activation_bytes=10_968_000_001)}},
            "needs more memory than the contract allows",
        ),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, activation_bytes=11_984_000_001)}, "parallel_count": 1},
            "needs more memory than the contract allows; got 12,000,000,001, the limit is 12,000,000,000",
        ),
        (
            {"costs": {PARENT: COST, CHILD: replace(COST, parameters=1_249_000_001)}},
            "returns more bytes than the contract allows; got 5,000,000,004, the limit is 5,000,000,000",
        ),
    ],
    "data": [
        ({"corpus": "the-whole-internet", "active_corpus": "the-whole-internet"}, "does not allow this corpus"),
        (
            {"domain": "vision"},
            "does not allow this corpus; got allowed in vision: cluttered-digits, mnist, fashion-mnist, cifar-10",
        ),
        ({"domain": "speech"}, "does not allow this corpus; got allowed in speech: none"),
        ({"active_corpus": "another"}, "is not the active one of the domain; got active is another"),
        ({"source": "/etc/passwd"}, "the contract forbids this source; got /etc/passwd is like /*"),
        ({"source": "~/secrets"}, "the contract forbids this source; got ~/secrets is like ~*"),
        ({"source": "corpora/../secrets"}, "the contract forbids this source; got corpora/../secrets is like *..*"),
        ({"source": "https:" + "//example.org/a"}, "got https://example.org/a is like *://*"),
        ({"source": "s3:" + "//bucket"}, "got s3://bucket is like *://*"),
        ({"source": "someone/the-holdout-set"}, "got someone/the-holdout-set is like *holdout*"),
        ({"source": "someone/Web-Scraped"}, "got someone/Web-Scraped is like *scraped*"),
    ],
    "fairness": [
        ({"runs": (replace(PASSING.runs[0], steps=1899),)}, "whole training steps can't take this compute"),
        ({"compute_flops": 100, "runs": PASSING.runs[:1]}, "got 600,000 of 100 FLOPs in 2000 steps"),
    ],
    "lineage": [
        ({"head": CHILD, "children": ()}, "the parent is not the champion"),
        ({"damaged": "model.py changed"}, "the parent's archive is not as it was; got model.py changed"),
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
    full = replace(COST, items=4900, activation_bytes=10_968_000_000, parameters=1_249_000_000)
    costs = {PARENT: COST, CHILD: full}
    assert check_gates(replace(PASSING, costs=costs), CONTRACT) == ()


@pytest.mark.parametrize(("steps", "compute_flops"), [(1900, 600_000), (1400, 400_000)])
def test_five_percent_of_the_compute_may_be_left_over_or_missing(steps: int, compute_flops: int) -> None:
    whole = replace(PASSING, runs=(replace(PASSING.runs[0], steps=steps),), compute_flops=compute_flops)
    assert check_gates(whole, CONTRACT) == ()
    (finding,) = check_gates(replace(whole, compute_flops=compute_flops + 1 if steps == 1900 else 399_999), CONTRACT)
    assert (finding.gate, finding.subject) == ("fairness", "control-0")


def test_a_spec_is_named_by_the_first_twelve_digits_of_its_id() -> None:
    (finding,) = check_gates(replace(PASSING, head="c" * 64), CONTRACT)
    assert (finding.subject, finding.got) == ("a" * 12, f"HEAD names {'c' * 12}")
    (finding,) = check_gates(replace(PASSING, parent=""), CONTRACT)
    assert (finding.subject, finding.got) == ("no spec", f"HEAD names {'a' * 12}")


def test_language_counts_tokens_where_pictures_count_themselves() -> None:
    """2,000 steps of 25 sequences of 100 tokens, twice, are the contract's 10,000,000 items."""
    sequences = replace(COST, items=25, item_tokens=100)
    tokens = replace(PASSING, costs={PARENT: sequences, CHILD: sequences})
    assert check_gates(tokens, CONTRACT) == ()
    longer = replace(PASSING, costs={PARENT: sequences, CHILD: replace(sequences, item_tokens=101)})
    (finding,) = check_gates(longer, CONTRACT)
    assert (finding.gate, finding.got) == ("budget", "10,050,000, the limit is 10,000,000")
    pictures = replace(COST, items=2500)
    assert check_gates(replace(PASSING, costs={PARENT: pictures, CHILD: pictures}), CONTRACT) == ()


def test_all_runs_together_are_held_against_the_month() -> None:
    half = replace(PASSING, runs=PASSING.runs[:1], month_flops_left=600_000)
    assert check_gates(half, CONTRACT) == ()
    (finding,) = check_gates(replace(half, runs=PASSING.runs), CONTRACT)
    assert (finding.gate, finding.subject, finding.got) == ("budget", "bundle", "1,200,000, the limit is 600,000")


def test_every_forbidden_pattern_has_a_source_that_it_refuses() -> None:
    refused = " ".join(complaint for _, complaint in FAILING["data"])
    assert all(f" is like {pattern}" in refused for pattern in CONTRACT.data.forbidden)


def test_a_source_is_refused_once_for_every_pattern_it_is_like() -> None:
    findings = check_gates(replace(PASSING, source="/mnt/../HOLDOUT"), CONTRACT)
    assert [finding.got.rsplit(" ", 1)[1] for finding in findings] == ["/*", "*..*", "*holdout*"]


@pytest.mark.parametrize("domain", DOMAINS)
def test_no_listed_corpus_comes_from_a_forbidden_source(domain: str) -> None:
    for corpus in load_corpora(domain).corpora:
        asked = {"domain": domain, "corpus": corpus.id, "active_corpus": corpus.id, "source": corpus.source}
        assert check_gates(replace(PASSING, **asked), CONTRACT) == ()


def test_runs_one_after_the_other_need_the_memory_of_the_largest() -> None:
    costs = {PARENT: COST, CHILD: replace(COST, activation_bytes=11_900_000_000)}
    assert check_gates(replace(PASSING, costs=costs, parallel_count=1), CONTRACT) == ()


def test_a_declaration_too_large_for_any_machine_is_refused_in_plain_numbers() -> None:
    costs = {PARENT: COST, CHILD: Cost(*[10**30] * 8)}
    findings = check_gates(replace(PASSING, costs=costs), CONTRACT)
    assert [finding.gate for finding in findings] == ["budget"] * 4 + ["fairness"]


@pytest.mark.parametrize("name", GATES)
def test_every_gate_explains_itself_and_has_fixtures(name: str) -> None:
    gate = GATES[name]
    assert name == gate.ID
    assert gate.PROTECTS.endswith(".")
    assert gate.REMEDY.endswith(".")
    assert FAILING[name]
