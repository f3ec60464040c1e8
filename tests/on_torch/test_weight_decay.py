"""Parameter groups without weight decay for biases and norms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from indian_torch import INDIAN, no_weight_decay_groups


class Model(nn.Module):
    """A bias of two dimensions, a tied weight, a scalar and a frozen weight among the others."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.norm = nn.LayerNorm(4)
        self.attention_bias = nn.Parameter(torch.ones(2, 2))
        self.temperature = nn.Parameter(torch.ones(()))
        self.conv = nn.Conv1d(4, 5, 3)
        self.conv.weight.requires_grad_(False)
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embedding.weight


def test_biases_and_norms_are_spared_in_the_models_order() -> None:
    model = Model()
    groups = no_weight_decay_groups(model, 0.1)
    assert [([name for name, _ in g["params"]], g["weight_decay"]) for g in groups] == [
        (["embedding.weight", "conv.weight"], 0.1),
        (
            ["attention_bias", "temperature", "norm.weight", "norm.bias", "conv.bias", "head.bias"],
            0.0,
        ),
    ]
    named = dict(model.named_parameters())
    assert all(named[name] is param for g in groups for name, param in g["params"])


@pytest.mark.parametrize("optimizer", [INDIAN, INDIAN.from_sgd, torch.optim.SGD])
def test_only_the_others_decay(optimizer: Any) -> None:
    model = Model()
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    for param in model.parameters():
        param.grad = torch.zeros_like(param)
    optimizer(no_weight_decay_groups(model, 0.1), lr=0.5, weight_decay=7.0).step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"embedding.weight", "conv.weight"}


@pytest.mark.parametrize(
    ("model", "count"), [(nn.Linear(2, 1, bias=False), 1), (nn.LayerNorm(3), 1), (nn.ReLU(), 0)]
)
def test_there_are_no_empty_groups(model: nn.Module, count: int) -> None:
    groups = no_weight_decay_groups(model, 0.1)
    assert len(groups) == count
    assert all(group["params"] for group in groups)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Invalid weight_decay value: -0\.1"):
        no_weight_decay_groups(nn.Linear(2, 1), -0.1)
    with pytest.raises(TypeError, match="Invalid weight_decay value: None"):
        no_weight_decay_groups(nn.Linear(2, 1), None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Invalid model: generator"):
        no_weight_decay_groups(nn.Linear(2, 1).parameters(), 0.1)  # type: ignore[arg-type]
