"""What does not fit one of several parameters is refused before any of them has changed."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import pytest

from indian_mlx import INDIAN, INNAprop

PARAMS = {"a": mx.array([1.0, 2.0]), "b": mx.array([3.0, 4.0, 5.0])}
MISFITS = {
    "another shape": {"a": mx.ones(2), "b": mx.ones(1)},
    "complex": {"a": mx.ones(2), "b": mx.ones(3) * 1j},
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("method", [INDIAN, INNAprop])
def test_a_misfit_changes_nothing(method: Any, misfit: str) -> None:
    optimizer = method(0.1)
    optimizer.apply_gradients(PARAMS, PARAMS)
    before = [optimizer.state[name]["momentum"].tolist() for name in PARAMS]
    steps = optimizer.state["step"].item()
    with pytest.raises(ValueError, match="Invalid gradient: "):
        optimizer.apply_gradients(MISFITS[misfit], PARAMS)
    with pytest.raises(ValueError, match="Invalid psi: "):
        optimizer.set_psi(PARAMS, MISFITS[misfit])
    assert [optimizer.state[name]["momentum"].tolist() for name in PARAMS] == before
    assert optimizer.state["step"].item() == steps


def test_complex_parameters() -> None:
    """INDIAN's step is linear, and its energy real; INNAprop says that it has none of them."""
    params = {"z": mx.array([1 + 2j])}
    optimizer = INDIAN(0.1)
    optimizer.apply_gradients(params, params)
    optimizer.apply_gradients(params, params)
    assert optimizer.energy(params, 1.0).item() > 0
    with pytest.raises(ValueError, match="complex64"):
        INNAprop(0.1).apply_gradients(params, params)
