"""Runs in files: what is particular to torch. (What moves between frameworks: tests/together.)"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from indian_core.runs.file import load
from indian_torch import INDIAN, INNAprop, layout, load_run, save_run

pytest.importorskip("safetensors", reason="runs in files need it")


def groups(model: nn.Module) -> list[dict[str, Any]]:
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]


def network(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1)).to(dtype)


def train(model: nn.Module, optimizer: Any, steps: int) -> None:
    inputs = torch.linspace(-1, 1, 15).reshape(5, 3).to(next(model.parameters()).dtype)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(inputs) - 1).square().mean().backward()
        optimizer.step()


def assert_same_run(one: nn.Module, other: nn.Module) -> None:
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        (torch.bfloat16, {}),
        (torch.float16, {}),
        (torch.float32, {"capturable": True}),
    ],
)
def test_a_run_goes_on_bit_for_bit(
    tmp_path: Path, method: Any, dtype: torch.dtype, options: dict[str, Any]
) -> None:
    model, path = network(dtype), tmp_path / "run.safetensors"
    optimizer = method(groups(model), lr=0.01, **options)
    train(model, optimizer, 3)
    save_run(path, model, optimizer, step=3)
    other = copy.deepcopy(model)
    resumed = method(groups(other), lr=0.01, **options)
    train(other, resumed, 1)
    assert load_run(path, other, resumed) == 3
    train(model, optimizer, 3)
    train(other, resumed, 3)
    assert_same_run(model, other)


def test_steps_that_only_v_has_counted(tmp_path: Path) -> None:
    """At lr = 0 nothing begins, but V is a mean of gradients all the same."""
    model, path = network(), tmp_path / "run.safetensors"
    optimizer = INNAprop(model.parameters(), lr=0.0)
    train(model, optimizer, 2)
    save_run(path, model, optimizer)
    parameter = load(path).parameters["0.bias"]
    assert (parameter.begun, parameter.steps) == (False, 2)
    other = copy.deepcopy(model)
    resumed = INNAprop(other.parameters(), lr=0.01)
    assert load_run(path, other, resumed) == 2
    optimizer.param_groups[0]["lr"] = 0.01
    train(model, optimizer, 2)
    train(other, resumed, 2)
    assert_same_run(model, other)


def test_what_is_frozen_is_not_in_the_file(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "run.safetensors"
    optimizer = INDIAN(model[2].parameters())
    save_run(path, model, optimizer, step=0)
    assert set(load(path).parameters) == {"2.weight", "2.bias"}
    with pytest.raises(ValueError, match="shapes"):
        save_run(path, model[0], optimizer, step=0)
    with pytest.raises(ValueError, match="step"):
        save_run(path, model, optimizer)
    with pytest.raises(TypeError, match="optimizer"):
        save_run(path, model, torch.optim.SGD(model.parameters()), step=0)  # type: ignore[arg-type]
    meta = nn.Linear(2, 1, device="meta")
    with pytest.raises(ValueError, match="no numbers"):
        save_run(path, meta, INDIAN(meta.parameters()), step=0)
    wave = nn.Linear(2, 1, dtype=torch.complex64)
    with pytest.raises(ValueError, match="complex"):
        save_run(path, wave, INDIAN(wave.parameters()), step=0)


def test_a_layout() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False), nn.BatchNorm1d(5))
    model[1].weight = model[0].weight  # tied: it is there once
    assert [(entry.name, entry.layer, entry.kind) for entry in layout(model)] == [
        ("0.weight", "0", "embedding"),
        ("2.weight", "2", "scale"),
        ("2.bias", "2", "bias"),
    ]
    with pytest.raises(ValueError, match="PReLU"):
        layout(nn.Sequential(nn.PReLU()))
