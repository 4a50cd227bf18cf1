"""Vision models: what the generic suites can't know of stems, stages, blocks and heads."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from aams.errors import SpecError
from aams.records import Interface, Spec
from compiler.cost import estimate
from compiler.identity import spec_id
from compiler.ops import OPS
from compiler.render import render
from compiler.spec import from_tree

INTERFACE = Interface("vision", 0, 0, 3, 20, 14, 10)

BLOCKS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    *(({"op": name}, {"op": "batchnorm"}) for name in OPS["block"]),
    *(({"op": "basic"}, {"op": name}) for name in OPS["image-norm"]),
    ({"op": "bottleneck", "groups": 4, "activation": "silu"}, {"op": "groupnorm", "groups": 2}),
    ({"op": "inverted-residual", "squeeze": 4, "kernel": 5, "expansion": 3}, {"op": "layernorm2d"}),
)


def spec_tree(*stages: dict[str, Any], stem: dict[str, Any] | None = None, head: str = "average") -> dict[str, Any]:
    return {
        "schema_version": 1,
        "domain": "vision",
        "model": {
            "stem": stem or {"op": "conv", "width": 8},
            "stages": list(stages),
            "head": {"op": "linear", "pool": head},
        },
        "training": {"optimizer": {"op": "adamw", "lr": 0.001}, "batch": 8},
    }


def stage(width: int, *blocks: dict[str, Any], stride: int = 1) -> dict[str, Any]:
    return {"width": width, "stride": stride, "blocks": list(blocks)}


def block(name: str = "basic", repeat: int = 1, norm: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
    return {"repeat": repeat, "block": {"op": name, **params}, "norm": norm or {"op": "batchnorm"}}


def built(tree: dict[str, Any], interface: Interface = INTERFACE) -> nn.Module:
    names: dict[str, Any] = {}
    exec(render(Spec("vision", tree, spec_id(tree)), interface), names)  # noqa: S102 our own source
    model: nn.Module = names["Model"]()
    return model


def images(interface: Interface = INTERFACE, count: int = 2) -> torch.Tensor:
    return torch.randn(count, interface.channels, interface.height, interface.width)


def miscounted(model: nn.Module, batch: torch.Tensor) -> int:
    """FLOPs that torch's counter adds for weight gradients of grouped convolutions, as if they had one group."""
    excess = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal excess
        assert isinstance(module, nn.Conv2d)
        flops = conv_flop_count(list(inputs[0].shape), list(module.weight.shape), list(output.shape))
        excess += flops * (module.groups - 1)

    hooks = [module.register_forward_hook(add) for module in model.modules() if isinstance(module, nn.Conv2d)]
    model(batch)
    for hook in hooks:
        hook.remove()
    return excess


@pytest.mark.parametrize(("op", "norm"), BLOCKS, ids=str)
def test_cost_of_every_block_and_norm_is_what_torch_counts(op: dict[str, Any], norm: dict[str, Any]) -> None:
    item = {"repeat": 2, "block": op, "norm": norm}
    tree = spec_tree(stage(8, item), stage(16, item, stride=2), stage(16, item, stride=2))
    cost = estimate(tree, INTERFACE)
    model = built(tree)
    assert sum(weight.numel() for weight in model.parameters()) == cost.parameters
    with torch.device("meta"):
        model, batch = model.to("meta"), images(count=1)
    with FlopCounterMode(display=False) as forward:
        loss = model(batch).sum()
    assert forward.get_total_flops() == cost.forward_flops
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    assert backward.get_total_flops() - miscounted(model, batch) == cost.training_flops - cost.forward_flops


@pytest.mark.parametrize(
    "stem",
    [
        {"op": "conv", "width": 12, "kernel": 7, "stride": 2, "pool": True},
        {"op": "conv", "width": 12, "kernel": 1, "stride": 3},
        {"op": "patchify", "width": 12, "patch": 2},
    ],
    ids=str,
)
def test_cost_of_every_stem_is_what_torch_counts(stem: dict[str, Any]) -> None:
    tree = spec_tree(stage(16, block()), stem=stem, head="max")
    cost = estimate(tree, INTERFACE)
    model = built(tree)
    with FlopCounterMode(display=False) as counter:
        model(images(count=1)).sum().backward()
    assert sum(weight.numel() for weight in model.parameters()) == cost.parameters
    assert counter.get_total_flops() == cost.training_flops


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 1), (5, 7), (3, 20)])
def test_maps_of_every_size_are_halved_rounding_up(height: int, width: int) -> None:
    interface = Interface("vision", 0, 0, 1, height, width, 10)
    for op in OPS["block"]:
        tree = spec_tree(stage(8, block(op)), stage(16, block(op), stride=1 if height == width == 1 else 2))
        model = built(tree, interface)
        assert model(images(interface)).shape == (2, 10)
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            model.to("meta")(images(interface, count=3))
        assert counter.get_total_flops() == 3 * estimate(tree, interface).forward_flops


def test_only_the_first_block_of_a_stage_widens_and_shrinks() -> None:
    source = render(Spec("vision", (tree := spec_tree(stage(16, block(repeat=3), stride=2))), spec_id(tree)), INTERFACE)
    assert "BasicBlock(8, 16, stride=2),  # (B, 16, 10, 7)" in source
    assert "*(BasicBlock(16, 16) for _ in range(2))," in source


def test_repeats_written_out_and_stages_that_change_nothing_share_id_and_source() -> None:
    short = spec_tree(stage(16, block(repeat=3), stride=2), stage(32, block("convnext")))
    long = spec_tree(
        stage(16, block(), block(), stride=2),
        stage(16, block()),
        stage(32, block("convnext", kernel=7, norm={"op": "batchnorm"})),
    )
    assert spec_id(short) == spec_id(long)
    sources = {render(Spec("vision", tree, spec_id(tree)), INTERFACE) for tree in (short, long)}
    assert len(sources) == 1
    assert estimate(short, INTERFACE) == estimate(long, INTERFACE)


@pytest.mark.parametrize(
    "changed",
    [
        spec_tree(stage(16, block(repeat=2)), stage(16, block(), stride=2)),
        spec_tree(stage(16, block(repeat=3), stride=2)),
        spec_tree(stage(16, block(repeat=2), block(norm={"op": "layernorm2d"}))),
        spec_tree(stage(16, block(repeat=3)), head="max"),
        spec_tree(stage(16, block(repeat=3)), stem={"op": "conv", "width": 8, "pool": True}),
    ],
)
def test_different_functions_have_different_ids(changed: dict[str, Any]) -> None:
    assert spec_id(changed) != spec_id(spec_tree(stage(16, block(repeat=3))))


@pytest.mark.parametrize("name", [name for name in OPS["block"] if name != "attention-block"])
def test_a_block_that_keeps_the_size_starts_as_the_identity(name: str) -> None:
    model = built(spec_tree(stage(8, block(name))))
    (first,) = model.get_submodule("stages").children()
    x = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(first(x), x)


@pytest.mark.parametrize("name", OPS["block"])
def test_the_gradient_reaches_every_weight_once_the_blocks_have_opened(name: str) -> None:
    torch.manual_seed(0)
    model = built(spec_tree(stage(8, block(name)), stage(16, block(name), stride=2)))
    for _ in range(3):
        model.zero_grad()
        nn.functional.cross_entropy(model(images(count=4)), torch.tensor([1, 2, 3, 4])).backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= 0.1 * weight.grad
    assert [key for key, weight in model.named_parameters() if not weight.grad.any()] == []


def test_normalises_with_the_norm_of_each_block_and_reads_with_that_of_the_last() -> None:
    tree = spec_tree(stage(16, block(), block(norm={"op": "groupnorm", "groups": 2})))
    kinds = [type(module).__bases__[0] for module in built(tree).modules() if "Norm" in type(module).__name__]
    assert kinds == [nn.BatchNorm2d, nn.BatchNorm2d, nn.GroupNorm, nn.GroupNorm, nn.GroupNorm]


def test_refuses_a_stride_on_a_map_of_one_point() -> None:
    halves = (stage(8 * width, block(), stride=2) for width in range(1, 8))
    with pytest.raises(SpecError, match=r"stages\[5\]\.stride: the map is one point already; got 2; use stride 1"):
        from_tree(spec_tree(*halves))


def test_refuses_groups_that_do_not_divide_hidden_channels_once_with_the_number() -> None:
    tree = spec_tree(stage(24, block("bottleneck", repeat=3, ratio=0.5, norm={"op": "groupnorm", "groups": 12})))
    with pytest.raises(SpecError) as caught:
        from_tree(tree)
    (problem,) = caught.value.problems
    assert problem.path == "model.stages[0].blocks[0].norm.groups"
    assert problem.what == "must divide the 8 channels it normalises"


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (spec_tree(stage(16, block()), stem={"op": "patchify", "width": 8, "patch": 3}), r"stem\.patch: must divide"),
        (
            spec_tree(stage(16, block()), stem={"op": "conv", "width": 8, "kernel": 4}),
            r"must be odd; got 4; try 3 or 5",
        ),
        (spec_tree(stage(16, block("convnext", kernel=6))), r"kernel: must be odd"),
        (spec_tree(stage(16, block("bottleneck", groups=3))), r"groups: must divide the 8 hidden channels"),
        (spec_tree(stage(16, block("attention-block", heads=3))), r"heads: must divide the stage's width=16"),
        (spec_tree(*itertools.repeat(stage(16, block(repeat=64)), 5)), r"model\.stages: at most 256 blocks .* got 320"),
        (spec_tree(stage(16)), r"blocks: must be a list of 1 to 32 items; got 0 items"),
        (spec_tree(stage(16, block(repeat=10**9))), r"repeat: must be a whole number from 1 to 64"),
        (spec_tree(stage(16, block("basik"))), r"block\.op: unknown block; got 'basik'; did you mean basic\?"),
    ],
)
def test_refuses_what_does_not_fit_and_says_what_would(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        from_tree(tree)
