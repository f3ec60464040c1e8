"""The paper's law: its step, and its auxiliary variable ψ."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from indian_core import Coefficients, coefficients, momentum_from_psi, psi_from_momentum
from indian_keras.backend import scalar
from indian_keras.base import Optimizer
from indian_keras.energy import energy
from indian_keras.gradients import check_array, path_of


class PaperLaw(Optimizer):
    """A method with γ, α and β, whose slots hold the paper's w.

    Attributes:
        start: For a method with an initial speed, the iteration of the run's first step, or −1
            once the step is made or a ψ was given. A step at a learning rate of 0 puts it off.
    """

    start: Any = None
    energy = energy

    def build(self, variables: list[Any]) -> None:
        """Create the slots.

        Args:
            variables: The model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        if "initial_speed" in self.names():
            self.start = self._counter("start")

    def scalars(self, lr: Any) -> Coefficients:
        """Return the scalars of the next step."""
        first, initial_speed = 0.0, getattr(self, "initial_speed", None)
        if self.start is not None and initial_speed is not None:
            is_due = ops.equal(self.start, self.iterations)
            is_first = ops.logical_and(is_due, ops.not_equal(lr, 0))
            first = scalar(ops.cast(is_first, self.precision), self.precision)
        return coefficients(lr, self.alpha, self.beta, initial_speed, first)

    def _count_step(self, learning_rate: Any) -> None:
        if self.start is not None:
            is_over = ops.logical_or(ops.less(self.start, 0), ops.not_equal(learning_rate, 0))
            self.start.assign(ops.where(is_over, -1, self.iterations + 1))
        super()._count_step(learning_rate)

    def psi(self, variable: Any) -> Any:
        r"""Return the paper's auxiliary variable ψ = (1 − αβ) θ + β w of one variable.

        Before the first step w is 0, so ψ is that of a start from rest, for any initial speed.

        Args:
            variable: θ, one of the variables that the optimizer was built with.

        Returns:
            ψ, a tensor of θ's shape and w's dtype.

        Raises:
            ValueError: If the optimizer is not built, if it was built without this variable, or if
                Keras overwrites the variable with its gradient.

        Examples:
            >>> import keras
            >>> from indian_keras import INDIAN
            >>> variable = keras.Variable([2.0, 4.0])
            >>> optimizer = INDIAN(alpha=0.5, beta=0.5)
            >>> optimizer.build([variable])
            >>> [float(x) for x in optimizer.psi(variable)]
            [1.5, 3.0]

        Reference:
            arXiv:1905.12278, equation (11) and the proof of Theorem 14.
        """
        # As a tensor, because Keras on torch rounds a float that meets a Variable to floatx.
        momentum = ops.convert_to_tensor(self._momentum_of(variable))
        theta = ops.stop_gradient(ops.cast(variable, momentum.dtype))
        return psi_from_momentum(theta, momentum, self.alpha, self.beta)

    def set_psi(self, variable: Any, psi: Any) -> None:
        r"""Set ψ of one variable, that is, w = (ψ − (1 − αβ) θ)/β with the current θ.

        If ψ is set before the first step, it is ψ_0, and the initial speed no longer affects the
        run. So set it for all variables; those left out start from rest.

        Args:
            variable: θ, one of the variables that the optimizer was built with.
            psi: ψ, an array of θ's shape.

        Raises:
            ValueError: If the optimizer is not built, if it was built without this variable, if
                Keras overwrites the variable with its gradient, or if ψ has another shape.

        Examples:
            >>> import keras
            >>> from indian_keras import INDIAN
            >>> variable = keras.Variable([2.0, 4.0])
            >>> optimizer = INDIAN(alpha=0.5, beta=0.5)
            >>> optimizer.build([variable])
            >>> optimizer.set_psi(variable, [1.0, 1.0])
            >>> [float(x) for x in optimizer.psi(variable)]
            [1.0, 1.0]

        Reference:
            arXiv:1905.12278, equation (11) and the proof of Theorem 14.
        """
        momentum = self._momentum_of(variable)
        psi = psi if hasattr(psi, "dtype") else np.asarray(psi)
        check_array("psi", psi, variable)
        psi = ops.cast(psi, momentum.dtype)
        theta = ops.stop_gradient(ops.cast(variable, momentum.dtype))
        momentum.assign(momentum_from_psi(theta, psi, self.alpha, self.beta))
        if self.start is not None:
            self.start.assign(-1)

    def _momentum_of(self, variable: Any) -> Any:
        if not self.built:
            raise ValueError("This optimizer has no ψ yet. Call `optimizer.build(variables)` first")
        self._check_variables_are_known([variable])
        momentum = self.momentums[self._get_variable_index(variable)]
        if momentum is None:
            raise ValueError(
                f"The variable {path_of(variable)!r} has no ψ: it is overwritten with its gradient"
            )
        return momentum
