"""What the methods share: slots, the learning rate, the step, ψ, and loading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from indian_core import (
    METHODS,
    OTHER_NAMES,
    Coefficients,
    checked,
    coefficients,
    momentum_from_psi,
    momentum_units,
    psi_from_momentum,
    refuse_arguments,
)
from indian_keras import _private
from indian_keras.backend import slot_of, update
from indian_keras.checkpoints import checked_state
from indian_keras.gradients import checked_gradients, path_of, refuse_complex
from indian_keras.learning_rate import as_learning_rate, refuse_bad_rate

_private.check_hooks()
_KERAS_NAMES = {name: theirs for theirs, name in OTHER_NAMES.items()}


class Optimizer(keras.optimizers.Optimizer):  # type: ignore[misc]
    """A linear step on (θ, w), after Keras's clipping, accumulation and weight decay.

    A method defines its hyperparameters, in its signature and in `METHODS`, and the state that it
    has beside w.

    Attributes:
        method: The method's name in `METHODS`.
        momentums: The slots, w for each variable, or None if Keras overwrites the variable with its
            gradient.
        begun: 1 after the run's first step, or once a ψ was given. (Keras's counter cannot tell,
            because users set it back for a warm restart.)
    """

    method: ClassVar[str]
    # For a method that scales its gradients: the slots of V, and the number of gradients in them.
    velocities: Any = None
    count: Any = None
    authors_weight_decay = False

    def __init__(self, *, learning_rate: Any, unknown: Mapping[str, Any], **arguments: Any) -> None:
        refuse_arguments(self.method, unknown)
        numbers = {name: arguments.pop(name) for name in self._numbers()}
        weight_decay = arguments.pop("weight_decay")
        super().__init__(learning_rate=as_learning_rate(learning_rate), **arguments)
        for name, value in {**numbers, "weight_decay": weight_decay}.items():
            setattr(self, name, value)

    @classmethod
    def _numbers(cls) -> list[str]:
        """Return Keras's names for the hyperparameters that Keras itself does not handle."""
        names = [_KERAS_NAMES.get(name, name) for name in METHODS[cls.method].numbers]
        return [name for name in names if name not in ("learning_rate", "weight_decay")]

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A hyperparameter is converted to a float, or refused."""
        if name in self._numbers() or name == "weight_decay":
            optional = name in ("initial_speed", "weight_decay", "reference_lr")
            value = None if optional and value is None else checked(name, value)
        super().__setattr__(name, value)

    def build(self, variables: list[Any]) -> None:
        """Create the slots, w for each variable.

        Args:
            variables: The model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        # Keras saves an optimizer's variables by index, so this order is a file format.
        self.momentums = self._slots(variables, "momentum")
        self.begun = self._counter("begun")
        slots = {keras.backend.standardize_dtype(m.dtype) for m in self.momentums if m is not None}
        self._precision = "float64" if slots & {"float64", "complex128"} else "float32"
        self._narrowest = "float64" if slots <= {"float64", "complex128"} else "float32"
        # Whether XLA has to be told the order of the updates: see `indian_keras.backend.on_graph`.
        self._keep_order = (
            keras.backend.backend() in ("jax", "tensorflow")
            and keras.distribution.distribution() is None
            and all(d.startswith("cpu") for d in keras.distribution.list_devices())
        )

    def _slots(self, variables: Sequence[Any], name: str, *, real: bool = False) -> list[Any]:
        """Add a slot of zeros for each variable, of at least 32 bits, and real if requested."""
        return [
            None
            if getattr(variable, "overwrite_with_gradient", False)
            else slot_of(self, variable, name, real=real)
            for variable in variables
        ]

    def _counter(self, name: str) -> Any:
        return self.add_variable(shape=(), dtype="int", aggregation="only_first_replica", name=name)

    @property
    def learning_rate(self) -> Any:
        """γ at the current iteration. Assign a float ≥ 0, a schedule or a callable."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, as_learning_rate(learning_rate))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one step.

        Args:
            grads: v for each variable, or None for a variable without a gradient.
            trainable_variables: θ. Defaults to the variables that the optimizer was built with.

        Raises:
            ValueError: If a gradient does not fit its variable, or if the learning rate has become
                negative, NaN or infinite and its value is known (not in a compiled program).
                Nothing is changed then.
        """
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        elif not self.built:
            super().apply(grads)  # (Keras raises.)
        variables = trainable_variables or self._trainable_variables
        super().apply(checked_gradients(list(grads), variables), trainable_variables)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        """Do nothing, because the decay is part of the step, where λ is not rounded to float32."""
        del variables  # (AutoGraph warns about a body without a statement.)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        refuse_bad_rate(learning_rate)
        update(self, grads, trainable_variables, learning_rate, super()._backend_update_step)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Make one step on one variable, weight decay included.

        Args:
            gradient: v, of the variable's shape.
            variable: θ, one of the variables that the optimizer was built with.
            learning_rate: γ, a scalar.
        """
        from indian_keras.backend import on_graph  # noqa: PLC0415

        on_graph.update_one(self, gradient, variable, on_graph.scalars(self, learning_rate))

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Return the variables' values after a step, without changing the variables themselves.

        Args:
            optimizer_variables: The values of `variables`, as tensors in the same order.
            grads: v, for each variable that the optimizer was built with.
            trainable_variables: θ, a tensor for each variable that the optimizer was built with.

        Returns:
            The new values of θ, and those of `variables`.

        Raises:
            ValueError: If the optimizer is not built, or was built with another number of
                variables.
        """
        if keras.backend.backend() == "torch":
            # There the step changes the tensors that it is given.
            optimizer_variables = [ops.copy(value) for value in optimizer_variables]
            trainable_variables = [ops.copy(value) for value in trainable_variables]
        new: tuple[list[Any], list[Any]] = super().stateless_apply(
            optimizer_variables, grads, trainable_variables
        )
        return new

    def _coefficients(self, learning_rate: Any, first: Any) -> Coefficients:
        """Return the scalars of the linear step, floats if the arguments are, otherwise tensors."""
        numbers = (self.alpha, self.beta, self.initial_speed, first, self.reference_lr)
        return coefficients(learning_rate, *numbers)

    def _units(self) -> Any:
        """Return the units of w at the current learning rate (see `momentum_units`)."""
        lr = 1.0 if self.reference_lr is None else float(self.learning_rate)
        return momentum_units(lr, self.reference_lr)

    def _squared_units(self) -> Any:
        """Return the units of ‖w‖² at the current learning rate."""
        return self._units()

    def _scale_at(self, lr: float) -> float:
        """Return the ratio of the slots to b of `indian_core.kept_momentum` at this lr."""
        del lr
        return 1.0

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
        return psi_from_momentum(theta, momentum, self.alpha, self.beta, self._units())

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
        refuse_complex("psi", psi, variable)
        psi = ops.cast(psi, momentum.dtype)
        if tuple(psi.shape) != tuple(variable.shape):
            raise ValueError(
                f"Invalid psi: its shape is {tuple(psi.shape)}, but that of the variable "
                f"{path_of(variable)!r} is {tuple(variable.shape)}"
            )
        theta = ops.stop_gradient(ops.cast(variable, momentum.dtype))
        momentum.assign(momentum_from_psi(theta, psi, self.alpha, self.beta, self._units()))
        self.begun.assign(1)

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

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Restore the state from a file, or leave it unchanged if the file is not this model's.

        Args:
            store: The arrays of the file, by index.

        Raises:
            ValueError: If an array has another shape than its variable. (If there are more or fewer
                arrays than variables, Keras warns and skips the optimizer, as it does for its own.)
        """
        if self.built and len(store.keys()) == len(self.variables):
            store = checked_state(store, self)
        super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config: dict[str, Any] = super().get_config()
        return config | {name: getattr(self, name) for name in self._numbers()}

    # Each method's own class defines which of these it has, and with which defaults.
    alpha: float
    beta: float
    initial_speed: float | None = None
    reference_lr: float | None = None
