"""The scaled gradient: V and its bias correction."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from indian_core import bias_correction, scaled_gradient, second_moment
from indian_mlx.base import Base, precise


class Scaled(Base):
    """A method whose direction is the gradient over its root mean square."""

    sigma: float  # the decay rate of V
    eps: float

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        """Create a parameter's state: the momentum, V, and the number of gradients in V."""
        if parameter.dtype == mx.complex64:
            raise ValueError(f"Invalid parameter: complex64 ({self.method} in MLX has real ones)")
        super().init_single(parameter, state)
        state["squares"] = mx.zeros_like(state["momentum"])
        state["count"] = mx.array(0, mx.int32)

    def direction(self, gradient: mx.array, state: dict[str, Any]) -> mx.array:
        """Return u, the scaled gradient."""
        state["count"] = state["count"] + 1
        state["squares"] = second_moment(state["squares"], gradient, self.sigma)
        if precise() == mx.float64:
            # A number to the power of an array is float32, and expm1 has only float32's digits.
            correction = bias_correction(mx.array(self.sigma, mx.float64), state["count"])
        else:
            correction = bias_correction(self.sigma, state["count"], mx.expm1)
        return scaled_gradient(
            gradient, state["squares"], correction.astype(gradient.dtype), self.eps
        )
