"""What the methods share: the linear step on a tree of parameters, ψ and the energy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers import Optimizer
from mlx.utils import tree_map

from indian_core import (
    METHODS,
    checked,
    coefficients,
    is_step,
    momentum_from_psi,
    momentum_units,
    psi_from_momentum,
)
from indian_core.arrays import check_fit
from indian_core.energy import lyapunov_energy


def precise() -> mx.Dtype:
    """Return the dtype of scalars: float64 on the CPU, where alone MLX has it, else float32."""
    return mx.float64 if mx.default_device().type == mx.DeviceType.cpu else mx.float32


class Base(Optimizer):  # type: ignore[misc]
    """A step on each parameter. A method may override `direction` to replace the gradient."""

    method: str
    alpha: float
    beta: float
    weight_decay: float
    initial_speed: float | None = None
    reference_lr: float | None = None

    def __init__(self, learning_rate: float | Callable[[mx.array], mx.array], **numbers: Any):
        super().__init__()
        if callable(learning_rate):
            self._maybe_schedule("learning_rate", learning_rate)
        else:
            self.learning_rate = learning_rate
        for name, value in numbers.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A hyperparameter is converted to a float, or refused."""
        if name in METHODS[self.method].numbers and value is not None:
            value = checked(name, value)
        super().__setattr__(name, value)

    @property
    def learning_rate(self) -> mx.array:
        """γ at the current step. Assign a number ≥ 0."""
        return self.state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        if isinstance(learning_rate, mx.array):
            learning_rate = learning_rate.item()
        self.state["learning_rate"] = mx.array(checked("learning_rate", learning_rate), precise())

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        """Create a parameter's state: w, in at least float32, and whether it has begun."""
        dtype = mx.float32 if parameter.dtype.size == 2 else parameter.dtype
        state["momentum"] = mx.zeros(parameter.shape, dtype)
        state["begun"] = mx.array(False)

    def direction(self, gradient: mx.array, state: dict[str, Any]) -> mx.array:
        """Return what replaces the gradient in the step."""
        del state
        return gradient

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """Return the parameters after one step.

        Raises:
            ValueError: If a gradient does not have its parameter's shape, or is complex for a real
                parameter. Nothing is changed then.
        """
        _check_all("gradient", gradients, parameters)
        return super().apply_gradients(gradients, parameters)

    def apply_single(
        self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]
    ) -> mx.array:
        """Return the parameter after one step, and store its new w in the state."""
        w = state["momentum"]
        lr = self.learning_rate.astype(precise())
        first = mx.logical_and(mx.logical_not(state["begun"]), is_step(lr, self.reference_lr))
        numbers = (self.alpha, self.beta, self.initial_speed, first.astype(lr.dtype))
        step = coefficients(lr, *numbers, self.reference_lr)
        a, b, c, d = (mx.array(scalar, precise()).astype(w.dtype) for scalar in step)
        theta, w = self.decayed(parameter.astype(w.dtype), w, lr)
        u = self.direction(gradient.astype(w.dtype), state)
        state["momentum"] = c * w + d * u
        state["begun"] = mx.logical_or(state["begun"], first)
        return (theta + a * w + b * u).astype(parameter.dtype)

    def decayed(self, theta: mx.array, w: mx.array, lr: mx.array) -> tuple[mx.array, mx.array]:
        """Return θ and w after the step's weight decay."""
        if self.weight_decay:
            theta = theta * (1 - lr * self.weight_decay).astype(theta.dtype)
        return theta, w

    def psi(self, parameters: Any) -> Any:
        """Return the paper's ψ = (1 − αβ) θ + β w, a tree like the parameters."""
        if not self._initialized:
            self.init(parameters)
        return tree_map(
            lambda theta, state: psi_from_momentum(
                theta, state["momentum"], self.alpha, self.beta, self._units
            ),
            parameters,
            self.state,
        )

    def set_psi(self, parameters: Any, psi: Any) -> None:
        """Set ψ, and with it w. All parameters then count as begun.

        Raises:
            ValueError: If a ψ does not have its parameter's shape, or is complex for a real
                parameter. Nothing is changed then.
        """
        _check_all("psi", psi, parameters)
        if not self._initialized:
            self.init(parameters)

        def put(theta: mx.array, value: mx.array, state: dict[str, Any]) -> None:
            w = momentum_from_psi(theta, value, self.alpha, self.beta, self._units)
            state["momentum"] = w.astype(state["momentum"].dtype)
            state["begun"] = mx.array(True)

        tree_map(put, parameters, psi, self.state)

    def energy(self, parameters: Any, loss: Any) -> mx.array:
        """Return the energy 2 (1 + αβ) J + ‖w‖² (`indian_core.energy`)."""
        squares: list[mx.array] = []
        if self._initialized:
            tree_map(
                lambda _, state: squares.append(mx.sum(mx.square(mx.abs(state["momentum"])))),
                parameters,
                self.state,
            )
        loss = mx.array(loss, precise())
        return mx.array(lyapunov_energy(loss, sum(squares), self.alpha, self.beta, self._units))

    @property
    def _units(self) -> float:
        return float(momentum_units(self.learning_rate.item(), self.reference_lr))


def _check_all(name: str, arrays: Any, parameters: Any) -> None:
    """Raise unless each array of a tree fits its parameter."""

    def check(array: mx.array, theta: mx.array) -> None:
        is_real = array.dtype != mx.complex64 or theta.dtype == mx.complex64
        check_fit(name, array.shape, theta.shape, is_real=is_real)

    tree_map(check, arrays, parameters)
