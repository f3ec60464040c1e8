"""What the methods share: the linear step on a tree of parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.optimizers import Optimizer
from mlx.utils import tree_map

from indian_core import METHODS, Coefficients, checked
from indian_core.arrays import check_fit


def precise() -> mx.Dtype:
    """Return the dtype of scalars: float64 on the CPU, where alone MLX has it, else float32."""
    return mx.float64 if mx.default_device().type == mx.DeviceType.cpu else mx.float32


class Base(Optimizer):  # type: ignore[misc]
    """A linear step on each parameter. A method defines its `scalars` and its `direction`."""

    method: str
    decoupled_weight_decay = True
    weight_decay: float

    def __init__(self, learning_rate: float | Callable[[mx.array], mx.array], **numbers: Any):
        super().__init__()
        if callable(learning_rate):
            self._maybe_schedule("learning_rate", learning_rate)
        else:
            self.learning_rate = learning_rate
        for name, value in numbers.items():
            setattr(self, name, value)
        self.check()

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
        """Create a parameter's state: the momentum, in at least float32."""
        dtype = mx.float32 if parameter.dtype.size == 2 else parameter.dtype
        state["momentum"] = mx.zeros(parameter.shape, dtype)

    def check(self) -> None:
        """Raise ValueError if the numbers do not go together."""

    @abstractmethod
    def scalars(self, lr: mx.array, state: dict[str, Any]) -> Coefficients:
        """Return the scalars of a parameter's next step."""

    def direction(self, gradient: mx.array, state: dict[str, Any]) -> mx.array:
        """Return what replaces the gradient in the step."""
        del state
        return gradient

    def apply_gradients(self, gradients: Any, parameters: Any) -> Any:
        """Return the parameters after one step.

        Raises:
            ValueError: If a gradient does not have its parameter's shape, or is complex for a real
                parameter, or the hyperparameters do not go together. Nothing is changed then.
        """
        check_all("gradient", gradients, parameters)
        self.check()
        return super().apply_gradients(gradients, parameters)

    def apply_single(
        self, gradient: mx.array, parameter: mx.array, state: dict[str, Any]
    ) -> mx.array:
        """Return the parameter after one step, and store its new momentum in the state."""
        s = state["momentum"]
        lr = self.learning_rate.astype(precise())
        step = self.scalars(lr, state)
        a, b, c, d = (mx.array(scalar, precise()).astype(s.dtype) for scalar in step)
        theta = parameter.astype(s.dtype)
        v = gradient.astype(s.dtype)
        if self.weight_decay and not self.decoupled_weight_decay:
            v = v + self.weight_decay * theta
        u = self.direction(v, state)
        theta, s = self.decayed(theta, s, lr)
        state["momentum"] = c * s + d * u
        return (theta + a * s + b * u).astype(parameter.dtype)

    def decayed(self, theta: mx.array, s: mx.array, lr: mx.array) -> tuple[mx.array, mx.array]:
        """Return θ and the momentum after the step's decoupled weight decay."""
        if self.weight_decay and self.decoupled_weight_decay:
            theta = theta * (1 - lr * self.weight_decay).astype(theta.dtype)
        return theta, s


def check_all(name: str, arrays: Any, parameters: Any) -> None:
    """Raise unless each array of a tree fits its parameter."""

    def check(array: mx.array, theta: mx.array) -> None:
        is_real = array.dtype != mx.complex64 or theta.dtype == mx.complex64
        check_fit(name, array.shape, theta.shape, is_real=is_real)

    tree_map(check, arrays, parameters)
