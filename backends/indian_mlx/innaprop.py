"""INNAprop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from indian_core import (
    bias_correction,
    dragged,
    from_adam,
    refuse_arguments,
    scaled_gradient,
    second_moment,
    translated,
)
from indian_mlx.base import Base, precise


class INNAprop(Base):
    r"""INNAprop: INDIAN's step, started from rest, on the gradient over its root mean square.

    $$u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}, \qquad
      V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2$$

    Args:
        learning_rate: The learning rate γ ≥ 0: a number, or a function of the step.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V.
        eps: ε ≥ 0, outside the root.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ.
        reference_lr: The learning rate at which α and β hold. If it is given, they follow the
            learning rate. If None, they are constant.
        authors_weight_decay: Whether to decay weights as the authors' code does, which leaves ψ
            unchanged.
        **unknown: No other arguments are accepted.

    Raises:
        TypeError: If a hyperparameter is not a real number, or is not one of INNAprop's.
        ValueError: If one is out of range.

    Examples:
        >>> import mlx.core as mx
        >>> params = {"theta": mx.array([1.0, -2.0])}
        >>> optimizer = INNAprop.from_adam(lr=0.1)
        >>> for _ in range(200):
        ...     gradients = {"theta": 2 * params["theta"]}
        ...     params = optimizer.apply_gradients(gradients, params)
        >>> bool(mx.all(mx.abs(params["theta"]) < 0.1))
        True

    Source: Bolte, Boustany, Pauwels, Purica, arXiv:2410.05871.
    """

    method = "INNAprop"

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array] = 1e-3,
        alpha: float = 0.1,
        beta: float = 0.9,
        sigma: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        reference_lr: float | None = None,
        authors_weight_decay: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_arguments("INNAprop", unknown)
        numbers: dict[str, Any] = {"alpha": alpha, "beta": beta, "sigma": sigma, "eps": eps}
        numbers |= {"weight_decay": weight_decay, "reference_lr": reference_lr}
        super().__init__(learning_rate, **numbers)
        self.authors_weight_decay = bool(authors_weight_decay)

    @classmethod
    def from_adam(cls, lr: Any, *args: Any, **kwargs: Any) -> INNAprop:
        """Return the INNAprop that replaces an AdamW, from `indian_core.from_adam`'s arguments.

        The lr may be a function of the step, as long as the momentum is kept.
        """
        numbers = translated(from_adam, lr, *args, **kwargs)
        return cls(numbers.pop("lr"), **numbers)

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        """Create a parameter's state: w, V, and the number of gradients that V holds."""
        if parameter.dtype == mx.complex64:
            raise ValueError("Invalid parameter: complex64 (INNAprop in MLX has real ones only)")
        super().init_single(parameter, state)
        state["squares"] = mx.zeros_like(state["momentum"])
        state["count"] = mx.array(0, mx.int32)

    def direction(self, gradient: mx.array, state: dict[str, Any]) -> mx.array:
        """Return u, the scaled gradient."""
        state["count"] = state["count"] + 1
        state["squares"] = second_moment(state["squares"], gradient, self.sigma)
        if precise() == mx.float64:
            # (A number to the power of an array is float32, and expm1 has only float32's digits.)
            correction = bias_correction(mx.array(self.sigma, mx.float64), state["count"])
        else:
            correction = bias_correction(self.sigma, state["count"], mx.expm1)
        return scaled_gradient(
            gradient, state["squares"], correction.astype(gradient.dtype), self.eps
        )

    def decayed(self, theta: mx.array, w: mx.array, lr: mx.array) -> tuple[mx.array, mx.array]:
        """Return θ and w after the step's weight decay."""
        if self.authors_weight_decay:
            pull = dragged(lr, self.alpha, self.beta, self.weight_decay, self.reference_lr)
            w = w + mx.array(pull, precise()).astype(w.dtype) * theta
        return super().decayed(theta, w, lr)

    sigma: float
    eps: float
