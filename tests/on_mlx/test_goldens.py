"""DampedSGD is MLX's own SGD, under a schedule and under edits."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.optimizers
import pytest

from indian_mlx import DampedSGD

START = {"theta": mx.array([1.0, -2.0])}
SGDS: list[dict[str, Any]] = [
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.0},
]


@pytest.mark.parametrize("numbers", SGDS, ids=str)
def test_damped_sgd_is_mlxs_sgd(numbers: dict[str, Any]) -> None:
    schedule = mlx.optimizers.cosine_decay(0.1, 20)
    ends = []
    for make in (DampedSGD, mlx.optimizers.SGD):
        optimizer, params = make(schedule, **numbers), START
        for k in range(20):
            if k == 10 and numbers["momentum"]:
                optimizer.momentum = 0.5
            params = optimizer.apply_gradients({"theta": mx.sin(params["theta"] + k)}, params)
        ends.append(params["theta"].tolist())
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)
