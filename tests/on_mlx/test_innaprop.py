"""INNAprop where MLX has no float64, as on a GPU."""

from __future__ import annotations

import mlx.core as mx
import pytest

from indian_mlx import INNAprop


@pytest.mark.parametrize("sigma", [0.0, 0.9, 0.999, 0.99999])
def test_the_bias_correction_keeps_its_digits_in_float32(
    monkeypatch: pytest.MonkeyPatch, sigma: float
) -> None:
    """A constant gradient, scaled, is its sign at every step."""
    for module in ("base", "scaled"):
        monkeypatch.setattr(f"indian_mlx.{module}.precise", lambda: mx.float32)
    optimizer = INNAprop(0.1, sigma=sigma, eps=0.0)
    gradient = mx.array([3.0, -0.1])
    optimizer.init({"theta": gradient})
    for _ in range(20):
        u = optimizer.direction(gradient, optimizer.state["theta"])
        assert u.tolist() == pytest.approx([1.0, -1.0], rel=1e-6)
