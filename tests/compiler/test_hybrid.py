"""Hybrid models: what the generic suites can't know of fusions, and of trunks that meet in one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from aams.errors import SpecError
from aams.records import Interface, Spec
from compiler.cost import estimate
from compiler.identity import spec_id
from compiler.ops import OPS
from compiler.render import render
from compiler.spec import from_tree

INTERFACE = Interface("hybrid", 128, 12, 1, 10, 16, 24)
BASIC = {"block": {"op": "basic"}}
ATTENTION = {"op": "attention", "heads": 2}


def spec_tree(
    fusion: dict[str, Any], position: str = "rope", mixer: dict[str, Any] = ATTENTION, repeat: int = 2, **vision: Any
) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "domain": "hybrid",
        "model": {
            "vision": {
                "stem": {"op": "conv", "width": 8, "stride": 2},
                "stages": [{"width": 16, "stride": 2, "blocks": [BASIC]}],
                **vision,
            },
            "language": {
                "width": 24,
                "position": {"op": position},
                "blocks": [{"repeat": repeat, "mixer": mixer, "channel": {"op": "mlp"}}],
            },
            "fusion": fusion,
        },
        "training": {"optimizer": {"op": "adamw", "lr": 0.001}, "batch": 8},
    }


def rendered(tree: dict[str, Any]) -> str:
    return render(Spec("hybrid", tree, spec_id(tree)), INTERFACE)


def built(tree: dict[str, Any]) -> nn.Module:
    names: dict[str, Any] = {}
    exec(rendered(tree), names)  # noqa: S102 our own source
    model: nn.Module = names["Model"]()
    return model


def inputs(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(count, INTERFACE.channels, INTERFACE.height, INTERFACE.width)
    return images, torch.randint(INTERFACE.vocabulary, (count, INTERFACE.tokens))


@pytest.mark.parametrize("position", ["none", "rope", "learned"])
@pytest.mark.parametrize("fusion", OPS["fusion"])
def test_cost_of_every_fusion_is_what_torch_counts(fusion: str, position: str) -> None:
    tree = spec_tree({"op": fusion}, position, repeat=3)
    cost = estimate(tree, INTERFACE)
    model = built(tree)
    assert sum(weight.numel() for weight in model.parameters()) == cost.parameters
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model.to("meta")(*inputs(1)).sum().backward()
    assert counter.get_total_flops() == cost.training_flops


def test_cross_attention_looks_after_every_so_many_blocks() -> None:
    tree = spec_tree({"op": "cross-attention", "heads": 3, "every": 2}, repeat=5)
    cost = estimate(tree, INTERFACE)
    model = built(tree)
    assert len(model.get_submodule("fusion.layers")) == 2
    assert sum(weight.numel() for weight in model.parameters()) == cost.parameters


@pytest.mark.parametrize("fusion", OPS["fusion"])
def test_every_answer_depends_on_its_own_image_and_question(fusion: str) -> None:
    torch.manual_seed(0)
    model = built(spec_tree({"op": fusion})).eval()
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.2)
    images, questions = inputs(3)
    answers = model(images, questions)
    assert answers.shape == (3, INTERFACE.classes)
    other_image = model(torch.cat((images[:1] + torch.randn(1, 1, 10, 16), images[1:])), questions)
    other_question = model(images, torch.cat(((questions[:1] + 1) % INTERFACE.vocabulary, questions[1:])))
    for changed in (other_image, other_question):
        assert not torch.allclose(changed[0], answers[0], atol=1e-4)
        torch.testing.assert_close(changed[1:], answers[1:])


def test_blocks_read_image_and_question_after_a_prefix_and_the_question_alone_otherwise() -> None:
    assert "context=24)" in rendered(spec_tree({"op": "prefix"}))  # 3 x 4 points and 12 tokens
    assert "context=12)" in rendered(spec_tree({"op": "film"}))
    assert "self.position = LearnedPosition(12, 24)" in rendered(spec_tree({"op": "prefix"}, "learned"))


def test_ids_do_not_depend_on_how_long_the_sequence_turns_out_to_be() -> None:
    windows = [spec_tree({"op": "prefix"}, mixer={**ATTENTION, "window": window}) for window in (8, 4096)]
    assert len({*map(spec_id, windows), spec_id(spec_tree({"op": "prefix"}))}) == 3


def test_what_has_no_effect_in_either_trunk_is_dropped_from_the_id() -> None:
    split = [{"width": 16, "stride": 2, "blocks": [BASIC]}, {"width": 16, "blocks": [BASIC]}]
    joined = [{"width": 16, "stride": 2, "blocks": [{**BASIC, "repeat": 2}]}]
    assert spec_id(spec_tree({"op": "film"}, stages=split)) == spec_id(spec_tree({"op": "film"}, stages=joined))
    convolution = {"op": "causal-conv"}
    ids = {spec_id(spec_tree({"op": "film"}, position, mixer=convolution)) for position in ("rope", "none", "learned")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (spec_tree({"op": "cross-attention", "heads": 5}), r"fusion\.heads: must divide the language width=24; got 5"),
        (spec_tree({"op": "cross-attention", "every": 3}), r"fusion\.every: must not exceed the 2 language blocks"),
        (spec_tree({"op": "prefix"}, repeat=65), r"model\.language\.blocks\[0\]\.repeat"),
        (spec_tree({"op": "prefix"}, stem={"op": "patchify", "width": 8, "patch": 16}), r"model\.vision\.stem\.patch"),
        (spec_tree({"op": "prefixx"}), r"model\.fusion\.op: unknown fusion; got 'prefixx'; did you mean prefix\?"),
    ],
)
def test_refuses_what_does_not_fit_and_says_what_would(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        from_tree(tree)
