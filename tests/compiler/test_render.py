"""Rendering: the same bytes everywhere, golden for the baselines, and nothing of a spec's text in them."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aams.errors import AamsError
from compiler import identity, render, spec
from compiler.skeletons import SKELETONS
from domains import active_interface

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(SKELETONS)

RENDER_ALL = """
import hashlib
from pathlib import Path
from compiler import render, spec
from domains import active_interface
for path in sorted(Path("domains").glob("*/baseline.yaml")):
    read = spec.read(path)
    print(read.id, hashlib.sha256(render.render(read, active_interface(read.domain)).encode()).hexdigest())
"""

some = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_baseline_renders_as_the_golden_file(domain: str, golden: Any) -> None:
    baseline = spec.read(ROOT / "domains" / domain / "baseline.yaml")
    golden(f"{domain}/model.py", render.render(baseline, active_interface(domain)))


def test_the_same_bytes_in_every_process_under_every_hash_seed() -> None:
    outputs = set()
    for seed in ("0", "1", "4242"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", RENDER_ALL], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == len(DOMAINS)


@pytest.mark.parametrize("domain", DOMAINS)
@some
@given(data=st.data(), seed=st.integers(0, 1000))
def test_equal_ids_render_equal_source(domain: str, data: Any, seed: int, valid_trees: Any) -> None:
    tree = data.draw(valid_trees(domain))
    interface = active_interface(domain)
    original = spec.from_tree(tree)
    source = render.render(original, interface)
    dice = random.Random(seed)
    for other in (identity.full(tree), identity.concise(tree), split(shuffled(identity.full(tree), dice), dice)):
        same = spec.from_tree(other)
        assert same.id == original.id
        assert render.render(same, interface) == source
    assert source.isascii()
    compile(source, "model.py", "exec")


def shuffled(tree: Any, dice: random.Random) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(tree, dict):
        keys = dice.sample(sorted(tree), len(tree))
        return {key: shuffled(tree[key], dice) for key in keys if tree[key] is not None}
    return [shuffled(item, dice) for item in tree] if isinstance(tree, list) else tree


def split(tree: Any, dice: random.Random) -> Any:
    """The same data with some repeats in two."""
    if isinstance(tree, dict):
        return {key: split(value, dice) for key, value in tree.items()}
    if not isinstance(tree, list):
        return tree
    items = []
    for item in tree:
        repeat = item.get("repeat", 1)
        first = dice.randint(1, repeat)
        parts = (first, repeat - first) if "repeat" in item else (repeat,)
        items += [{**split(item, dice), **({"repeat": part} if "repeat" in item else {})} for part in parts if part]
    return items


@some
@given(data=st.data())
def test_every_language_model_is_causal(data: Any, valid_trees: Any, build: Any) -> None:
    tree = data.draw(valid_trees("language"))
    interface = active_interface("language")
    torch.manual_seed(0)
    model = build(render.render(spec.from_tree(tree), interface))
    with torch.no_grad():
        for weight in model.parameters():
            torch.nn.init.normal_(weight, std=0.2)
        tokens = torch.randint(interface.vocabulary, (1, model.context))
        place = data.draw(st.integers(0, model.context - 1))
        changed = tokens.clone()
        changed[:, place:] = torch.randint(interface.vocabulary, (model.context - place,))
        before, after = model(tokens)[:, :place], model(changed)[:, :place]
    assert before.isfinite().all()
    assert torch.equal(before, after)


@pytest.mark.parametrize("value", ["1", "__import__('os')", b"1", 1 + 0j, [1], (1,), {}, print])
def test_nothing_but_numbers_and_truth_becomes_code(value: object) -> None:
    with pytest.raises(AamsError, match="only numbers, true, false and None may become code"):
        render.literal(value)


def test_a_number_that_pretends_to_be_one_does_not_become_code() -> None:
    class Fake(int):
        def __repr__(self) -> str:
            return "__import__('os')"

    with pytest.raises(AamsError):
        render.literal(Fake(1))


@pytest.mark.parametrize(
    ("value", "source"), [(True, "True"), (None, "None"), (-3, "-3"), (1e-05, "1e-05"), (10.0, "10.0")]
)
def test_a_literal_is_what_python_writes(value: object, source: str) -> None:
    assert render.literal(value) == source


def test_every_template_is_named_with_its_digest() -> None:
    digests = render.template_digests()
    assert list(digests) == sorted(digests)
    assert {"ops/attention.py.j2", "skeletons/language.py.j2"} <= digests.keys()
    assert len(digests) == len(list((ROOT / "compiler").rglob("*.j2")))
