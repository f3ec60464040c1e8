"""The optimizer: one class for all backends of Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    LR,
    check_hyperparameters,
    coefficients,
    momentum_from_psi,
    psi_from_momentum,
)


@keras.saving.register_keras_serializable(package="indian")
class INDIAN(keras.optimizers.Optimizer):  # type: ignore[misc]
    """INDIAN."""

    def __init__(
        self,
        learning_rate: Any = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float = INITIAL_SPEED,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str = "indian",
        **kwargs: Any,
    ) -> None:
        check_hyperparameters(alpha=alpha, beta=beta, initial_speed=initial_speed)
        if isinstance(learning_rate, float):
            check_hyperparameters(learning_rate=learning_rate)
        if weight_decay is not None:
            check_hyperparameters(weight_decay=weight_decay)
        super().__init__(
            learning_rate=learning_rate,
            name=name,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            **kwargs,
        )
        self.alpha = alpha
        self.beta = beta
        self.initial_speed = initial_speed

    def build(self, variables: list[Any]) -> None:
        """Make w for each variable, and one flag each that says whether ψ was given."""
        if self.built:
            return
        super().build(variables)
        # Keras saves an optimizer's variables by index: this order is a file format.
        self.momentums = self.add_optimizer_variables(variables, "momentum")
        self.psi_given = self.add_variable(
            shape=(len(variables),), dtype="float32", name="psi_given"
        )

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: Any = None, **kwargs: Any
    ) -> Any:
        """Add a variable to the optimizer; a momentum is never of less than 32 bits."""
        # In bfloat16, 1 − αγ is one or two units in the last place away from 1.
        is_momentum = (kwargs.get("name") or "").endswith("_momentum")
        if is_momentum and dtype in ("float16", "bfloat16"):
            dtype = "float32"
        return super().add_variable(shape, initializer, dtype, **kwargs)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Make one step on one variable."""
        index = self._get_variable_index(variable)
        momentum = self.momentums[index]
        dtype = momentum.dtype
        gradient = ops.cast(gradient, dtype)
        first = ops.cast(ops.equal(self.iterations, 0), dtype) * (
            1 - ops.cast(self.psi_given[index], dtype)
        )
        step = coefficients(
            ops.cast(learning_rate, dtype), self.alpha, self.beta, self.initial_speed, first
        )
        theta = ops.cast(variable, dtype)
        theta = theta + step.theta_momentum * momentum + step.theta_gradient * gradient
        new_momentum = step.momentum_momentum * momentum + step.momentum_gradient * gradient
        self.assign(variable, ops.cast(theta, variable.dtype))
        self.assign(momentum, new_momentum)

    def psi(self, variable: Any) -> Any:
        """Return the paper's ψ of a variable."""
        # As tensors: Keras on torch rounds a Python float to floatx where it meets a Variable.
        momentum = ops.convert_to_tensor(self.momentums[self._index_of(variable)])
        theta = ops.cast(variable, momentum.dtype)
        return psi_from_momentum(theta, momentum, self.alpha, self.beta)

    def set_psi(self, variable: Any, psi: Any) -> None:
        """Set the paper's ψ of a variable."""
        index = self._index_of(variable)
        momentum = self.momentums[index]
        psi = ops.cast(psi, momentum.dtype)
        if tuple(psi.shape) != tuple(variable.shape):
            raise ValueError(
                f"Invalid psi: its shape is {tuple(psi.shape)}, that of the variable "
                f"{variable.path!r} is {tuple(variable.shape)}"
            )
        theta = ops.cast(variable, momentum.dtype)
        momentum.assign(momentum_from_psi(theta, psi, self.alpha, self.beta))
        given = np.array(ops.convert_to_numpy(ops.convert_to_tensor(self.psi_given)))
        given[index] = 1
        self.psi_given.assign(given)

    def _index_of(self, variable: Any) -> int:
        if not self.built:
            raise ValueError("The optimizer has no ψ yet: call build(variables) first")
        self._check_variables_are_known([variable])
        return int(self._get_variable_index(variable))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = dict(super().get_config())
        config.update(alpha=self.alpha, beta=self.beta, initial_speed=self.initial_speed)
        return config
