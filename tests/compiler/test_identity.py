"""Ids: equal for equal functions, different for different ones, and the same for ever."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler import identity, spec
from compiler.fields import Flag, Int, Same
from compiler.identity import canonical, concise, full, replaced, simplest, spec_id
from compiler.ops import OPS
from compiler.skeletons import SKELETONS

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(SKELETONS)
MIXER = ("model", "blocks", 0, "mixer")
CHANNEL = ("model", "blocks", 0, "channel")

many = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def language(**model: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "domain": "language",
        "model": {
            "width": 64,
            "context": 64,
            "blocks": [{"mixer": {"op": "attention", "heads": 4}, "channel": {"op": "mlp"}}],
            **model,
        },
        "training": {"optimizer": {"op": "adamw", "lr": 0.01}, "batch_tokens": 256},
    }


def blocks(*mixers: dict[str, Any], **common: Any) -> dict[str, Any]:
    return language(blocks=[{"mixer": mixer, "channel": {"op": "mlp"}, **common} for mixer in mixers])


ATTENTION = {"op": "attention", "heads": 4}
CONVOLUTION = {"op": "causal-conv"}

SAME = {
    "a default that is written": (language(), language(tied=True, position={"op": "none"})),
    "an integer for a number": (
        language(soft_cap=15),
        language(soft_cap=15.0),
    ),
    "as many key heads as heads": (blocks(ATTENTION), blocks({**ATTENTION, "kv_heads": 4})),
    "a window over the whole context": (blocks(ATTENTION), blocks({**ATTENTION, "window": 64})),
    "a longer window": (blocks(ATTENTION), blocks({**ATTENTION, "window": 4096})),
    "a split repeat": (blocks(ATTENTION, repeat=5), blocks(ATTENTION, ATTENTION, ATTENTION, ATTENTION, ATTENTION)),
    "neighbours that become equal": (
        blocks(ATTENTION, repeat=2),
        blocks(ATTENTION, {**ATTENTION, "window": 100}),
    ),
    "rope without attention": (
        blocks(CONVOLUTION),
        replaced(blocks(CONVOLUTION), ("model", "position"), {"op": "rope", "base": 500.0}),
    ),
    "alibi without attention": (
        blocks(CONVOLUTION),
        replaced(blocks(CONVOLUTION), ("model", "position"), {"op": "alibi"}),
    ),
    "ratios that round to the same width": (
        replaced(language(), CHANNEL, {"op": "gated-mlp", "ratio": 2.5}),
        replaced(language(), CHANNEL, {"op": "gated-mlp", "ratio": 2.51}),
    ),
}

DIFFERENT = {
    "a shorter window": (blocks(ATTENTION), blocks({**ATTENTION, "window": 63})),
    "rope with attention": (language(), language(position={"op": "rope"})),
    "another depth": (blocks(ATTENTION, repeat=2), blocks(ATTENTION, repeat=3)),
    "another order": (blocks(ATTENTION, CONVOLUTION), blocks(CONVOLUTION, ATTENTION)),
    "another recipe": (language(), replaced(language(), ("training", "batch_tokens"), 512)),
    "a cap": (language(), language(soft_cap=100.0)),
    "a wider state": (blocks({"op": "gated-recurrence"}), blocks({"op": "gated-recurrence", "ratio": 1.125})),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_what_makes_no_difference_makes_no_id(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert spec.from_tree(one).id == spec.from_tree(other).id


@pytest.mark.parametrize(("one", "other"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_makes_a_difference_makes_an_id(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert spec.from_tree(one).id != spec.from_tree(other).id


def test_ids_of_the_baselines_and_of_every_op_are_the_golden_ones(golden: Any) -> None:
    trees = {f"{domain} baseline": baseline(domain) for domain in DOMAINS}
    trees |= {f"language {name}": tree for name, (_, tree) in (SAME | DIFFERENT).items()}
    for mixer in ("gated-recurrence", "causal-conv"):
        trees[f"language {mixer}"] = blocks({"op": mixer})
    for decay in ("gated", "fixed"):
        trees[f"language linear-attention {decay}"] = blocks({"op": "linear-attention", "heads": 4, "decay": decay})
    golden("ids.json", json.dumps({name: spec_id(tree) for name, tree in trees.items()}, indent=1) + "\n")


def baseline(domain: str) -> dict[str, Any]:
    return dict(spec.read(ROOT / "domains" / domain / "baseline.yaml").tree)


def test_a_new_parameter_with_a_default_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    trees = [blocks(ATTENTION), blocks({**ATTENTION, "kv_heads": 2, "window": 16}), baseline("language")]
    ids = [spec_id(tree) for tree in trees]
    attention = OPS["mixer"]["attention"]
    new = (
        Flag("sink", default=False),
        Int("value_heads", 1, 64, default=Same("heads")),
        Int("stripes", 1, 8, default=None),
    )
    grown = dataclasses.replace(attention, fields=(new[0], *attention.fields, *new[1:]))
    ops = {**OPS, "mixer": {**OPS["mixer"], "attention": grown}}
    monkeypatch.setattr(identity, "OPS", MappingProxyType(ops))
    assert [spec_id(tree) for tree in trees] == ids
    assert "stripes" in full(trees[0])["model"]["blocks"][0]["mixer"]
    assert spec_id(blocks({**ATTENTION, "sink": True})) != ids[0]


@pytest.mark.parametrize("domain", DOMAINS)
@many
@given(data=st.data())
def test_every_way_to_write_a_spec_keeps_its_id(domain: str, data: Any, valid_trees: Any) -> None:
    tree = data.draw(valid_trees(domain))
    written = json.dumps(tree)
    expected = spec_id(tree)
    for other in (full(tree), simplest(tree), concise(tree), json.loads(written), backwards(tree)):
        assert spec_id(other) == expected
    assert simplest(simplest(tree)) == simplest(tree)
    assert full(full(tree)) == full(tree)
    assert canonical(tree) == canonical(backwards(tree))
    assert json.dumps(tree) == written, "the tree it was given is untouched"


def backwards(tree: Any) -> Any:
    """The same data with every mapping's keys in reverse order."""
    if isinstance(tree, dict):
        return {key: backwards(tree[key]) for key in reversed(tree)}
    return [backwards(item) for item in tree] if isinstance(tree, list) else tree


def test_written_concisely_nothing_that_equals_its_default_is_left() -> None:
    tree = concise(full(language(position={"op": "rope"})))
    assert tree == language(position={"op": "rope"})


def test_a_number_has_its_declared_type_in_full() -> None:
    model = full(language(soft_cap=15))["model"]
    assert (repr(model["soft_cap"]), repr(model["width"])) == ("15.0", "64")
    assert full(language())["model"]["soft_cap"] is None


def test_written_concisely_repeats_stay_as_they_are() -> None:
    for written in (blocks(ATTENTION, repeat=3), blocks(ATTENTION, ATTENTION)):
        assert concise(full(written)) == written


def test_at_its_simplest_a_run_of_equal_blocks_is_one_repeat() -> None:
    windowed = {**ATTENTION, "window": 100}
    for mixers, repeats in (
        ((ATTENTION, ATTENTION, CONVOLUTION), [2, 1]),
        ((ATTENTION, CONVOLUTION, ATTENTION), [1, 1, 1]),
        ((ATTENTION, windowed, ATTENTION), [3]),
    ):
        assert [block["repeat"] for block in simplest(blocks(*mixers))["model"]["blocks"]] == repeats
    assert [block["repeat"] for block in simplest(blocks(ATTENTION, windowed, repeat=3))["model"]["blocks"]] == [6]


def test_replacing_shares_what_did_not_change() -> None:
    tree = blocks(ATTENTION, CONVOLUTION)
    changed = replaced(tree, MIXER, CONVOLUTION)
    assert changed["model"]["blocks"][0]["mixer"] == CONVOLUTION
    assert tree["model"]["blocks"][0]["mixer"] == ATTENTION
    assert changed["model"]["blocks"][1] is tree["model"]["blocks"][1]
    assert changed["training"] is tree["training"]
