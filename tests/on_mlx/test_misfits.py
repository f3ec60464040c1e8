"""Arrays that only MLX's users can hand in. (Other shapes: tests/conformance.)"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from indian_mlx import INDIAN, DampedAdamW, INNAprop, suggest_lr

PARAMS = {"a": mx.array([1.0, 2.0]), "b": mx.array([3.0, 4.0, 5.0])}


@pytest.mark.parametrize("method", [INDIAN, INNAprop])
def test_complex_gradients_and_psi_change_nothing(method: Any) -> None:
    optimizer = method(0.1)
    optimizer.apply_gradients(PARAMS, PARAMS)
    before = [optimizer.state[name]["momentum"].tolist() for name in PARAMS]
    misfit = {"a": mx.ones(2), "b": mx.ones(3) * 1j}
    with pytest.raises(ValueError, match="Invalid gradient"):
        optimizer.apply_gradients(misfit, PARAMS)
    with pytest.raises(ValueError, match="Invalid psi"):
        optimizer.set_psi(PARAMS, misfit)
    assert [optimizer.state[name]["momentum"].tolist() for name in PARAMS] == before
    assert optimizer.state["step"].item() == 1


def test_complex_parameters() -> None:
    """INDIAN's step is linear, and its energy real; the others say that they have none of them."""
    params = {"z": mx.array([1 + 2j])}
    optimizer = INDIAN(0.1)
    optimizer.apply_gradients(params, params)
    optimizer.apply_gradients(params, params)
    assert optimizer.energy(params, 1.0).item() > 0
    with pytest.raises(ValueError, match="complex64"):
        INNAprop(0.1).apply_gradients(params, params)
    with pytest.raises(TypeError, match="complex"):
        suggest_lr(lambda p: mx.abs(p["z"]).sum(), params)


@pytest.mark.parametrize("betas", [0.9, (0.9, 0.99, 0.5)])
def test_betas_that_are_not_two(betas: Any) -> None:
    with pytest.raises(ValueError, match="Invalid betas"):
        DampedAdamW(0.1, betas=betas)


def test_losses_and_parameters_without_a_curvature() -> None:
    with pytest.raises(ValueError, match="Invalid parameters"):
        suggest_lr(lambda p: mx.zeros(()), {})
    with pytest.raises(TypeError, match="Invalid parameters"):
        suggest_lr(lambda p: p["a"].sum(), {"a": mx.array([1, 2])})
    with pytest.raises(ValueError, match="Invalid loss"):
        suggest_lr(lambda p: p["a"], {"a": mx.ones(2)})
    with pytest.raises(ValueError, match="Invalid loss"):
        INDIAN(0.1).energy({"a": mx.ones(2)}, mx.ones(2))
