from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trainer import optimizers

ADAMW = {"op": "adamw", "lr": 0.01, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95}
MUON = {"op": "muon", "lr": 0.02, "momentum": 0.95, "weight_decay": 0.1, "adamw_lr": 0.003}
SGD = {"op": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.up = nn.Linear(6, 12)
        self.down = nn.Linear(12, 6)
        self.twin = nn.Linear(12, 6, bias=False)
        self.conv = nn.Conv2d(2, 4, 3, groups=2)
        self.scale = nn.Parameter(torch.ones(1, 6))
        self.head = nn.Linear(6, 7, bias=False)
        self.head.weight = self.embed.weight


def model_with_gradients() -> Model:
    torch.manual_seed(0)
    model = Model()
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(1, 12), st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_orthogonalising_brings_singular_values_near_one(count: int, rows: int, extra: int, seed: int) -> None:
    torch.manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(count, rows, rows))
    right, _ = torch.linalg.qr(torch.randn(count, rows + extra, rows))
    values = torch.rand(count, rows) + 0.05
    result = optimizers.orthogonalise(left @ (values.unsqueeze(-1) * right.mT))
    size = torch.linalg.svdvals(result)
    assert result.shape == (count, rows, rows + extra)
    assert bool(((size > 0.5) & (size < 1.3)).all())
    diagonal = left.mT @ result @ right
    assert torch.allclose(diagonal, torch.diag_embed(diagonal.diagonal(dim1=1, dim2=2)), atol=1e-3)


def test_orthogonalising_nothing_gives_nothing() -> None:
    assert torch.equal(optimizers.orthogonalise(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_muon_takes_hidden_matrices_and_leaves_embeddings_heads_and_vectors() -> None:
    model = Model()
    hidden = {id(matrix) for matrix in optimizers.hidden_matrices(model)}
    assert hidden == {id(layer.weight) for layer in (model.up, model.down, model.twin, model.conv)}


def test_muon_moves_every_matrix_by_the_same_length_per_row_or_column() -> None:
    model = model_with_gradients()
    before = model.up.weight.detach().clone(), model.conv.weight.detach().clone()
    optimizers.build(model, {**MUON, "weight_decay": 0.0}).step(0.5)
    for old, new in zip(before, (model.up.weight, model.conv.weight), strict=True):
        rows, columns = new.shape[0], new[0].numel()
        size = torch.linalg.svdvals((new.detach() - old).flatten(1)) / (0.01 * max(1, rows / columns) ** 0.5)
        assert bool(((size > 0.3) & (size < 1.3)).all())


@pytest.mark.parametrize("recipe", [ADAMW, MUON, SGD], ids=lambda recipe: recipe["op"])
def test_every_parameter_moves_even_one_without_a_gradient_decays(recipe: dict) -> None:
    model = model_with_gradients()
    model.twin.weight.grad = None
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizers.build(model, recipe).step(1.0)
    after = list(model.parameters())
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert all(bool(new.isfinite().all()) for new in after)


def test_adamw_and_sgd_do_what_torch_does() -> None:
    for recipe, reference in (
        (ADAMW, lambda groups: torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))),
        (SGD, lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True)),
    ):
        ours, theirs = model_with_gradients(), model_with_gradients()
        matrices = [parameter for parameter in theirs.parameters() if parameter.ndim >= 2]
        vectors = [parameter for parameter in theirs.parameters() if parameter.ndim < 2]
        decay = 0.0 if recipe["op"] == "sgd" else 0.1  # torch's SGD couples its decay
        mine = optimizers.build(ours, {**recipe, "weight_decay": decay})
        other = reference([{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}])
        for _ in range(5):
            mine.step(1.0)
            other.step()
        for left, right in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.allclose(left, right, atol=1e-6)


def test_sgd_decays_matrices_and_not_vectors() -> None:
    model = model_with_gradients()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    weight, bias = model.up.weight.detach().clone(), model.up.bias.detach().clone()
    optimizers.build(model, SGD).step(1.0)
    assert torch.allclose(model.up.weight, weight * (1 - 0.05 * 0.1))
    assert torch.equal(model.up.bias, bias)
