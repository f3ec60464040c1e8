"""A schedule of SGD's or AdamW's own learning rate."""

from __future__ import annotations

import mlx.core as mx
import mlx.optimizers
import pytest

from indian_mlx import INDIAN, INNAprop

START = {"theta": mx.array([1.0, -2.0])}


def test_from_sgd_follows_mlxs_sgd_under_a_schedule() -> None:
    schedule = mlx.optimizers.cosine_decay(0.1, 20)
    ends = []
    for optimizer in (INDIAN.from_sgd(schedule, 0.9), mlx.optimizers.SGD(schedule, 0.9)):
        params = START
        for k in range(20):
            params = optimizer.apply_gradients({"theta": mx.sin(params["theta"] + k)}, params)
        ends.append(params["theta"].tolist())
    assert ends[0] == pytest.approx(ends[1], rel=1e-5)


def test_from_adam_takes_a_schedule_if_the_momentum_is_kept() -> None:
    optimizer = INNAprop.from_adam(lambda step: 0.1 / (step + 1), damping=0.3)
    optimizer.apply_gradients(START, START)
    optimizer.apply_gradients(START, START)
    assert optimizer.learning_rate.item() == pytest.approx(0.05)
    with pytest.raises(TypeError, match=r"Invalid learning rate: .*keep_momentum=False"):
        INNAprop.from_adam(lambda step: 0.1, keep_momentum=False)


def test_an_array_is_a_number_too() -> None:
    optimizer = INDIAN.from_sgd(mx.array(0.25), 0.75)
    assert optimizer.learning_rate.item() == 0.25
    optimizer.learning_rate = mx.array(0.125)
    assert optimizer.learning_rate.item() == 0.125


def test_psi_before_the_first_step_is_that_of_rest() -> None:
    psi = INDIAN(0.1, alpha=0.5, beta=0.5).psi(START)
    assert psi["theta"].tolist() == [0.75, -1.5]
