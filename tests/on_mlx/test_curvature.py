"""The step size from the curvature: what MLX alone has to say of it."""

from __future__ import annotations

import mlx.core as mx
import pytest

from indian_mlx import suggest_lr


def test_complex_parameters_are_refused() -> None:
    params = {"a": mx.ones(2), "b": mx.ones(2).astype(mx.complex64)}
    with pytest.raises(TypeError, match="Invalid parameters: one is complex"):
        suggest_lr(lambda p: mx.abs(p["b"]).sum() + p["a"].sum(), params)
