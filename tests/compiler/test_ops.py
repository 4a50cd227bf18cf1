"""Every op of the registry: it renders readable, harmless code, costs what its formula says, and learns."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from aams.records import Interface
from compiler import cost, render, spec
from compiler.fields import REQUIRED, Choice, Field, Flag, Float, Group, Int, Many, Op, Slot, Tree
from compiler.identity import full, replaced
from compiler.ops import OPS
from compiler.skeletons import SKELETONS, grammar
from domains import active_interface

RECIPE = {"optimizer": {"op": "sgd", "lr": 0.1}}

HOSTS: dict[str, dict[str, Any]] = {
    "language": {
        "schema_version": 1,
        "domain": "language",
        "model": {
            "width": 16,
            "context": 40,
            "blocks": [{"repeat": 2, "mixer": {"op": "attention", "heads": 4}, "channel": {"op": "mlp", "ratio": 1.0}}],
        },
        "training": {**RECIPE, "batch_tokens": 80},
    },
    "vision": {
        "schema_version": 1,
        "domain": "vision",
        "model": {
            "stem": {"op": "conv", "width": 8},
            "stages": [{"width": 16, "stride": 2, "blocks": [{"repeat": 2, "block": {"op": "basic"}}]}],
        },
        "training": {**RECIPE, "batch": 8},
    },
    "hybrid": {
        "schema_version": 1,
        "domain": "hybrid",
        "model": {
            "vision": {
                "stem": {"op": "conv", "width": 8, "stride": 2},
                "stages": [{"width": 16, "stride": 2, "blocks": [{"block": {"op": "basic"}}]}],
            },
            "language": {
                "width": 16,
                "blocks": [{"repeat": 2, "mixer": {"op": "attention", "heads": 4}, "channel": {"op": "mlp"}}],
            },
            "fusion": {"op": "prefix"},
        },
        "training": {**RECIPE, "batch": 8},
    },
}
"""The smallest models that ops are tried in; 40 tokens are one chunk of linear attention and a bit."""

FITTING = {"heads": 4, "kv_heads": 2, "window": 8, "groups": 4, "ratio": 2.0, "squeeze": 4, "width": 8}
"""Numbers for parameters that have no default, or are off by default, and must suit a width of 16."""


def variants(op: Op) -> Iterator[Tree]:
    """An op as short as it can be written, then with each choice and each optional parameter in turn."""
    shortest = {"op": op.name, **{field.name: value(field) for field in op.fields if field.default is REQUIRED}}
    yield shortest
    for field in op.fields:
        match field:
            case Choice():
                others = [option for option in field.options if option != field.default]
            case Flag():
                others = [not field.default]
            case Int() | Float() if field.default is None or field.name == "kv_heads":
                others = [value(field)]
            case _:
                others = []
        for other in others:
            yield {**shortest, field.name: other}


def value(field: Field) -> Any:
    if isinstance(field, Choice):
        return field.options[0]
    return FITTING.get(field.name, field.low)


def slot(fields: tuple[Field, ...], kind: str) -> tuple[str | int, ...] | None:
    """Path of the first slot for ops of a kind."""
    for field in fields:
        match field:
            case Slot() if field.kind == kind:
                return (field.name,)
            case Group():
                inner, step = slot(field.fields, kind), (field.name,)
            case Many():
                inner, step = slot(field.item.fields, kind), (field.name, 0)
            case _:
                continue
        if inner:
            return (*step, *inner)
    return None


def hosted(op: Op, variant: Tree) -> tuple[str, dict[str, Any], tuple[str | int, ...]]:
    """The domain, a valid spec that uses the variant, and where."""
    for domain, host in HOSTS.items():
        path = slot(grammar(domain), op.kind)
        if path:
            return domain, replaced(host, path, variant), path
    raise AssertionError(f"no domain has a slot for {op.kind}")


BUILDING = [op for ops in OPS.values() for op in ops.values() if op.kind not in ("optimizer", "schedule")]
EVERY = [(op, variant) for op in BUILDING for variant in variants(op)]
IDS = [" ".join(str(part) for part in variant.values()) for _, variant in EVERY]
every_variant = pytest.mark.parametrize(("op", "variant"), EVERY, ids=IDS)


def rendered(op: Op, variant: Tree) -> tuple[str, Interface, dict[str, Any]]:
    domain, tree, _ = hosted(op, variant)
    interface = active_interface(domain)
    return render.render(spec.from_tree(tree), interface), interface, tree


SYNTAX = (
    # statements
    ast.Module, ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AugAssign, ast.Expr, ast.For,
    ast.If, ast.Return,
    # expressions
    ast.Attribute, ast.BinOp, ast.BoolOp, ast.Call, ast.Compare, ast.Constant, ast.Dict, ast.GeneratorExp, ast.IfExp,
    ast.List, ast.ListComp, ast.Name, ast.Slice, ast.Starred, ast.Subscript, ast.Tuple, ast.UnaryOp,
    # the rest
    ast.alias, ast.arg, ast.arguments, ast.boolop, ast.cmpop, ast.comprehension, ast.expr_context, ast.keyword,
    ast.operator, ast.unaryop,
)  # fmt: skip
IMPORTS = {"import math", "import torch", "from torch import nn", "from torch.nn import functional as F"}
BUILTINS = {"enumerate", "int", "len", "max", "min", "range", "staticmethod", "super", "zip"}


@every_variant
def test_code_is_plain_ascii_python_that_touches_torch_and_math_only(op: Op, variant: Tree) -> None:
    source, _, _ = rendered(op, variant)
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    assert source.isascii()
    assert max(map(len, source.splitlines())) <= 140
    assert {type(node) for node in nodes if not isinstance(node, SYNTAX)} == set()
    imported = {ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)}
    assert imported <= IMPORTS
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    assert used & set(dir(builtins)) <= BUILTINS
    reached = {node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")}
    assert reached <= {"__init__"}
    assert ("math" in used) == ("import math" in imported)


@pytest.mark.parametrize("op", [op for op in BUILDING if op.class_name], ids=lambda op: op.name)
def test_code_of_an_op_is_the_golden_one(op: Op, golden: Any) -> None:
    golden(f"ops/{op.name}.py", "\n\n".join(classes(op, variant) for variant in variants(op)))


def test_no_golden_file_outlives_its_op() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "golden" / "ops").iterdir()}
    assert files == {op.name for op in BUILDING if op.class_name}


def classes(op: Op, variant: Tree) -> str:
    """The classes of one variant at its host, under a comment that says what a spec wrote."""
    domain, tree, path = hosted(op, variant)
    sites = list(SKELETONS[domain].sites(full(tree)["model"], active_interface(domain)))
    site = next(site for site in sites if site.path == path)
    parts = render.Parts()
    part = parts.call(site.kind, site.op, site.place)
    assert part is not None
    written = ", ".join(f"{key}: {str(each).lower()}" for key, each in variant.items())
    return "\n\n\n".join((f"# {{{written}}}\n# {part.make('...')}", *parts.sources.values())) + "\n"


@every_variant
def test_parameters_and_flops_are_what_torch_counts(op: Op, variant: Tree, count: Any) -> None:
    source, interface, tree = rendered(op, variant)
    expected = cost.estimate(tree, interface)
    counted = count(source, interface, tree["model"].get("context", 0))
    assert counted.parameters == expected.parameters
    assert counted.forward_flops == expected.forward_flops
    assert counted.training_flops == expected.training_flops


@every_variant
def test_five_steps_on_one_batch_lower_the_loss_and_move_every_weight(
    op: Op, variant: Tree, build: Any, inputs: Any
) -> None:
    torch.manual_seed(0)
    source, interface, _ = rendered(op, variant)
    model = build(source)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    batch = inputs(interface, 4, 40)
    answers = torch.randint(interface.classes, model(*batch).shape[:-1])
    losses = []
    for _ in range(6):
        loss = F.cross_entropy(model(*batch).flatten(0, -2), answers.flatten())
        losses.append(loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= 0.1 * weight.grad
    assert losses[5] < losses[0]
    assert [name for name, weight in model.named_parameters() if torch.equal(weight, before[name])] == []


@every_variant
def test_equal_seeds_give_equal_models_and_answers(op: Op, variant: Tree, build: Any, inputs: Any) -> None:
    source, interface, _ = rendered(op, variant)
    assert rendered(op, variant)[0] == source
    answers = []
    for _ in range(2):
        torch.manual_seed(3)
        model = build(source)
        answers.append(model(*inputs(interface, 2, 40)))
    assert torch.equal(*answers)


@every_variant
def test_half_precision_gives_finite_gradients_of_full_precision(
    op: Op, variant: Tree, build: Any, inputs: Any
) -> None:
    torch.manual_seed(0)
    source, interface, _ = rendered(op, variant)
    model = scrambled(build(source))
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(*inputs(interface, 2, 40)).float().logsumexp(-1).mean()
    loss.backward()
    for weight in model.parameters():
        assert weight.grad.dtype == torch.float32
        assert weight.grad.isfinite().all()


def scrambled(model: torch.nn.Module) -> torch.nn.Module:
    """Every weight random: what starts at zero would hide what comes before it."""
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return model


CAUSAL = [(op, variant) for op, variant in EVERY if op.kind in ("mixer", "channel", "norm", "position")]


@pytest.mark.parametrize(("op", "variant"), CAUSAL, ids=[" ".join(map(str, variant.values())) for _, variant in CAUSAL])
def test_a_token_changes_nothing_before_it(op: Op, variant: Tree, build: Any, inputs: Any) -> None:
    torch.manual_seed(0)
    source, interface, _ = rendered(op, variant)
    model = scrambled(build(source))
    with torch.no_grad():
        (tokens,) = inputs(interface, 1, 40)
        whole = model(tokens)
        for place in (0, 1, 31, 32, 39):
            changed = tokens.clone()
            changed[:, place] += 1 - 2 * (changed[:, place] == interface.vocabulary - 1)
            other = model(changed)
            assert torch.equal(other[:, :place], whole[:, :place])
            assert not torch.allclose(other[:, place], whole[:, place])
        for length in (1, 2, 31, 33):
            torch.testing.assert_close(model(tokens[:, :length]), whole[:, :length], atol=1e-4, rtol=1e-4)
