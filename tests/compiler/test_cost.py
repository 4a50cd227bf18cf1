"""The cost model against torch's own counts, for models drawn from the whole grammar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from compiler import cost, recipe, render, spec
from compiler.identity import full, replaced
from compiler.skeletons import SKELETONS
from domains import active_interface
from trainer import optimizers

ROOT = Path(__file__).parents[2]
DOMAINS = sorted(SKELETONS)

LANGUAGE = {
    "schema_version": 1,
    "domain": "language",
    "model": {
        "width": 32,
        "context": 64,
        "blocks": [{"mixer": {"op": "attention", "heads": 2}, "channel": {"op": "mlp"}}],
    },
    "training": {"optimizer": {"op": "adamw", "lr": 0.01}, "batch_tokens": 256},
}

few = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("domain", DOMAINS)
@few
@given(data=st.data())
def test_any_spec_costs_what_torch_counts(domain: str, data: Any, valid_trees: Any, count: Any) -> None:
    tree = replaced(data.draw(valid_trees(domain)), ("training", "optimizer"), {"op": "muon", "lr": 0.01})
    interface = active_interface(domain)
    counted = count(render.render(spec.from_tree(tree), interface), interface, tree["model"].get("context", 0))
    with FlopCounterMode(display=False) as update:
        optimizers.build(counted.model, full(tree)["training"]["optimizer"]).step(1.0)
    expected = cost.estimate(tree, interface)
    assert counted.parameters == expected.parameters
    assert counted.forward_flops == expected.forward_flops
    assert counted.training_flops == expected.training_flops
    assert update.get_total_flops() == expected.update_flops


def test_both_rooms_mean_the_same_newton_schulz_iteration() -> None:
    assert recipe.NEWTON_SCHULZ_STEPS == optimizers.NEWTON_SCHULZ_STEPS


def test_a_step_costs_its_items_and_its_update() -> None:
    interface = active_interface("language")
    adamw = cost.estimate(LANGUAGE, interface)
    assert adamw.items == 4
    assert (adamw.update_flops, adamw.step_flops) == (0, 4 * adamw.training_flops)
    assert adamw.optimizer_bytes == 4 * 4 * adamw.parameters
    muon = cost.estimate(replaced(LANGUAGE, ("training", "optimizer"), {"op": "muon", "lr": 0.01}), interface)
    assert muon.step_flops == 4 * muon.training_flops + muon.update_flops > adamw.step_flops


def test_an_item_counts_its_tokens_in_language_and_one_elsewhere() -> None:
    assert cost.estimate(LANGUAGE, active_interface("language")).item_tokens == 64
    longer = replaced(LANGUAGE, ("model", "context"), 128)
    assert cost.estimate(longer, active_interface("language")).item_tokens == 128
    for domain in ("hybrid", "vision"):
        tree = spec.read(ROOT / "domains" / domain / "baseline.yaml").tree
        assert cost.estimate(tree, active_interface(domain)).item_tokens == 1


def test_a_thousand_million_layers_are_costed_without_building_one() -> None:
    interface = active_interface("language")
    model = LANGUAGE["model"]
    assert isinstance(model, dict)

    def repeated(repeat: int) -> int:
        return cost.estimate(replaced(LANGUAGE, ("model", "blocks", 0, "repeat"), repeat), interface).parameters

    one = repeated(2) - repeated(1)
    assert repeated(10**9) == repeated(1) + (10**9 - 1) * one


@pytest.mark.parametrize("domain", DOMAINS)
def test_equal_functions_cost_the_same_however_they_are_written(domain: str) -> None:
    tree = spec.read(ROOT / "domains" / domain / "baseline.yaml").tree
    interface = active_interface(domain)
    assert cost.estimate(full(tree), interface) == cost.estimate(tree, interface)
