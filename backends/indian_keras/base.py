"""The optimizer: one class for all backends of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    LR,
    Coefficients,
    checked,
    coefficients,
    from_sgd,
    momentum_from_psi,
    psi_from_momentum,
)
from indian_keras.gradients import checked_gradients, path_of, refuse_complex
from indian_keras.learning_rate import as_learning_rate, refuse_bad_rate
from indian_keras.checkpoints import checked_state

if keras.backend.backend() == "torch":
    from indian_keras.backend import on_torch

_HYPERPARAMETERS = ("alpha", "beta")
_OPTIONAL = ("initial_speed", "weight_decay")


@keras.saving.register_keras_serializable(package="indian")
class INDIAN(keras.optimizers.Optimizer):  # type: ignore[misc]
    r"""INDIAN (INNA), an inertial Newton algorithm.

    For a variable θ with gradient v, the learning rate γ, the viscous damping α and the Newton
    damping β, the optimizer keeps one slot w of θ's shape and makes the step

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$
    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k$$
    $$w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) with w = (α − 1/β) θ + ψ/β in the place of ψ; `psi` and
    `set_psi` speak the paper's language. The initial velocity of θ is −s v_0. The first step is
    the first that is applied: under gradient accumulation the first full one, under loss scaling
    the first that is not skipped. A variable whose first gradient comes later starts from rest,
    w = 0, whatever s is.

    w is kept in float32 for float16 and bfloat16 variables, since 1 − αγ needs the digits.

    Args:
        learning_rate: γ: a float ≥ 0, a `keras.optimizers.schedules.LearningRateSchedule` (the
            paper's own is `PowerDecay`), or a callable without arguments. Defaults to 0.1.
        alpha: α ≥ 0, the viscous damping. Defaults to 0.5.
        beta: β > 0, the Newton damping. Defaults to 0.1.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. Defaults to None,
            which is the β of the first step, a start from rest. The paper's own is 1.
        weight_decay: λ ≥ 0: each step starts with θ ← (1 − γλ) θ, decoupled from the gradient.
        clipnorm: The largest norm of each variable's gradient.
        clipvalue: The largest absolute value of a gradient's entries.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep an exponential moving average of the variables.
        ema_momentum: The decay of that average.
        ema_overwrite_frequency: After how many steps the average overwrites the variables.
        loss_scale_factor: A factor on the loss, and its inverse on the gradients.
        gradient_accumulation_steps: How many minibatches' gradients are averaged for one step.
        name: The optimizer's name. Defaults to "indian".
        **kwargs: Further arguments of `keras.optimizers.Optimizer`.

    Raises:
        TypeError: If α, β, s or λ is not a real number.
        ValueError: If a hyperparameter is negative, NaN or infinite, β is 0, or Keras refuses an
            argument.

    Example:
        >>> import keras
        >>> variable = keras.Variable([1.0, -2.0])
        >>> optimizer = INDIAN(learning_rate=0.5, alpha=0.5, beta=0.5)
        >>> for _ in range(100):
        ...     optimizer.apply([2 * variable.value], [variable])
        >>> bool(keras.ops.all(keras.ops.abs(variable) < 1e-3))
        True

    Reference:
        Castera, Bolte, Févotte, Pauwels, An Inertial Newton Algorithm for Deep Learning
        (arXiv:1905.12278), equation (11) and section 5.2; w is from the proof of Theorem 14.
    """

    _adds_slots = False

    def __init__(
        self,
        learning_rate: Any = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float | None = INITIAL_SPEED,
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
        super().__init__(
            learning_rate=as_learning_rate(learning_rate),
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

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a hyperparameter becomes a float or is refused."""
        if name in _HYPERPARAMETERS or (name in _OPTIONAL and value is not None):
            value = checked(name, value)
        super().__setattr__(name, value)

    @classmethod
    def from_sgd(
        cls,
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        damping: float | None = None,
        weight_decay: float | None = None,
        **kwargs: Any,
    ) -> INDIAN:
        r"""Return the INDIAN that makes the very steps of `keras.optimizers.SGD`.

        $$\gamma = \sqrt{lr}, \quad \alpha = (1 - m)/\gamma, \quad \beta = d/\alpha$$

        from rest, with d = 1 − m of the heavy ball and d = 1 − m² of Nesterov's momentum. What is
        between those and d = 1, gradient descent, is more Newton damping at the same step size.

        The two agree at a constant learning rate. The step size of SGD, η = γ/α, is linear in γ:
        so give the factors of SGD's schedule to γ as they are.

        Args:
            learning_rate: SGD's learning rate, > 0: a float.
            momentum: SGD's momentum m, 0 ≤ m ≤ 1.
            nesterov: Whether SGD uses Nesterov's momentum.
            damping: d = αβ, in the place of SGD's own, from 1 − m to 1.
            weight_decay: SGD's weight decay, ≥ 0, which is decoupled and multiplied by SGD's
                learning rate: here it becomes that times γ.
            **kwargs: Further arguments of `INDIAN`.

        Returns:
            The optimizer.

        Raises:
            TypeError: If an argument is not a real number.
            ValueError: If an argument is out of range, or SGD itself would refuse it.

        Example:
            >>> INDIAN.from_sgd(learning_rate=0.25, momentum=0.75).beta
            0.5
            >>> INDIAN.from_sgd(learning_rate=0.25, momentum=0.75, damping=0.5).beta
            1.0

        Reference:
            Ma and Yarats, Quasi-hyperbolic momentum and Adam for deep learning
            (arXiv:1810.06801), which contains both.
        """
        lr, alpha, beta, _ = from_sgd(learning_rate, momentum, nesterov, damping)
        if weight_decay is not None:
            weight_decay = checked("weight_decay", weight_decay) * lr
        return cls(lr, alpha=alpha, beta=beta, weight_decay=weight_decay, **kwargs)

    def build(self, variables: list[Any]) -> None:
        """Make the slots: w for each variable.

        Args:
            variables: The model's trainable variables.
        """
        if self.built:
            return
        super().build(variables)
        # Keras saves an optimizer's variables by index: this order is a file format.
        self._adds_slots = True
        self.momentums = self.add_optimizer_variables(variables, "momentum")
        self._adds_slots = False
        # Whether the run has begun: 1 from its first step on, or once a ψ was given. (The counter
        # cannot tell: users set it back for a warm restart.)
        self.begun = self.add_variable(
            shape=(), dtype="int", aggregation="only_first_replica", name="begun"
        )
        slots = {keras.backend.standardize_dtype(m.dtype) for m in self.momentums if m is not None}
        self._precision = "float64" if slots & {"float64", "complex128"} else "float32"
        # Where XLA has to be told the order of the two updates: see `_after`.
        self._keep_order = (
            keras.backend.backend() in ("jax", "tensorflow")
            and keras.distribution.distribution() is None
            and all(d.startswith("cpu") for d in keras.distribution.list_devices())
        )

    def add_variable(
        self, shape: Any, initializer: Any = "zeros", dtype: Any = None, **kwargs: Any
    ) -> Any:
        """Add a variable to the optimizer; w is never kept in less than float32."""
        if self._adds_slots and dtype in ("float16", "bfloat16"):
            dtype = "float32"
        return super().add_variable(shape, initializer, dtype, **kwargs)

    @property
    def learning_rate(self) -> Any:
        """γ at the present iteration. Assign a float ≥ 0, a schedule or a callable."""
        return self._get_current_learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        keras.optimizers.Optimizer.learning_rate.fset(self, as_learning_rate(learning_rate))

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> None:
        """Make one step.

        Args:
            grads: v for each variable, None where there is none.
            trainable_variables: θ; by default those that the optimizer was built with.

        Raises:
            ValueError: If a gradient is not for its variable, or the learning rate has become
                negative, NaN or infinite where its value is known (not in a compiled program).
                Nothing has been changed then.
        """
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
        elif not self.built:
            super().apply(grads)  # which refuses it
        variables = trainable_variables or self._trainable_variables
        super().apply(checked_gradients(list(grads), variables), trainable_variables)

    def _backend_apply_gradients(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any]
    ) -> None:
        if keras.backend.backend() == "torch" and self.weight_decay is not None:
            # The decay, too, would change a gradient that is a variable's memory.
            grads = on_torch.in_own_memory(grads, [v.value for v in trainable_variables])
        super()._backend_apply_gradients(grads, trainable_variables)

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        if self.weight_decay is not None:
            refuse_bad_rate(self.learning_rate)
            super()._apply_weight_decay(variables)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[Any], learning_rate: Any
    ) -> None:
        refuse_bad_rate(learning_rate)
        # The scalars of the step are the same for all variables: make them once.
        if keras.backend.backend() == "torch":
            momentums = [self.momentums[self._get_variable_index(v)] for v in trainable_variables]
            rate, first = float(learning_rate), not int(self.begun)
            # (A call, for Dynamo leaves `update` out of its programs.)
            on_torch.update(
                lambda: self._coefficients(rate, first), trainable_variables, momentums, grads
            )
            if first and rate:
                self.begun.assign(1)
        else:
            step = self._coefficients(learning_rate)
            super()._backend_update_step(grads, trainable_variables, step)
            moves = ops.cast(ops.not_equal(step.theta_momentum, 0), self.begun.dtype)
            self.begun.assign(ops.maximum(self.begun, moves))

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Return what a step makes of the variables; the variables themselves stay as they are.

        Args:
            optimizer_variables: Values of `variables`, in its order: tensors.
            grads: v, for each variable that the optimizer was built with.
            trainable_variables: θ, for each variable that the optimizer was built with: tensors.

        Returns:
            The new values of θ, and those of `variables`.

        Raises:
            ValueError: If the optimizer is not built, or not with as many variables.
        """
        if keras.backend.backend() == "torch":
            # There the step works in place, on what it is given here.
            optimizer_variables = [ops.copy(value) for value in optimizer_variables]
            trainable_variables = [ops.copy(value) for value in trainable_variables]
        new: tuple[list[Any], list[Any]] = super().stateless_apply(
            optimizer_variables, grads, trainable_variables
        )
        return new

    def _coefficients(self, learning_rate: Any, first: Any = None) -> Coefficients:
        """Return the scalars of this step, as floats if the arguments are, else as tensors."""
        # With γ = 0 nothing moves: such a step is not the first.
        if first is None:
            # (Not ops.cast, which on TensorFlow takes a callable's float to float32 first.)
            learning_rate = ops.convert_to_tensor(learning_rate, dtype=self._precision)
            moves = ops.not_equal(learning_rate, 0)
            first = ops.cast(ops.logical_and(ops.equal(self.begun, 0), moves), self._precision)
        else:
            first = first and learning_rate != 0
        return coefficients(learning_rate, self.alpha, self.beta, self.initial_speed, first)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Make one step on one variable.

        Args:
            gradient: v, of the variable's shape.
            variable: θ, one of the variables that the optimizer was built with.
            learning_rate: γ, a scalar, or the `Coefficients` of the step.
        """
        momentum = self.momentums[self._get_variable_index(variable)]
        dtype = keras.backend.standardize_dtype(momentum.dtype)
        if not isinstance(learning_rate, Coefficients):
            learning_rate = self._coefficients(learning_rate)
        step = Coefficients(*(ops.cast(scalar, dtype) for scalar in learning_rate))
        # An Embedding's gradient may be sparse; a decaying w is not.
        gradient = ops.cast(ops.convert_to_tensor(gradient, sparse=False), dtype)
        w = ops.convert_to_tensor(momentum)

        change = step.theta_momentum * w + step.theta_gradient * gradient
        if keras.backend.standardize_dtype(variable.dtype) == dtype:
            self.assign_add(variable, change)
        else:
            # Added in w's precision, and rounded once.
            theta = ops.cast(variable, dtype) + change
            self.assign(variable, ops.cast(theta, variable.dtype))
        decay = self._after(variable, step.momentum_momentum)
        self.assign(momentum, decay * w + step.momentum_gradient * gradient)

    def _after(self, variable: Any, decay: Any) -> Any:
        """Return the decay, as a number that XLA cannot know before it has the new θ.

        θ is written from the old w. XLA on the CPU does not order two updates that do not depend
        on each other, so it would copy every w before it updates it, which takes three times as
        long; with this dependency both buffers are updated in place. (Writing θ from the new w
        would order them too, but divides by 1 − αγ, which may be 0.) On an accelerator XLA makes
        both updates in one kernel, and on a mesh the one entry would have to be sent around.
        """
        if not self._keep_order or 0 in variable.shape:
            return decay
        entry = ops.real(ops.convert_to_tensor(variable)[(0,) * len(variable.shape)])
        # Both are the decay: x + 0·x is x, but only for finite x, so XLA keeps the two apart.
        return ops.where(entry > 0, decay, decay + 0.0 * decay)

    def psi(self, variable: Any) -> Any:
        r"""Return the paper's auxiliary variable ψ = (1 − αβ) θ + β w of one variable.

        Before the first step w is still 0, since ψ_0 takes the first gradient: ψ is then that of
        a start from rest.

        Args:
            variable: θ, one of the variables that the optimizer was built with.

        Returns:
            ψ, a tensor of θ's shape and of w's dtype.

        Raises:
            ValueError: If the optimizer is not built, or not with this variable, or the variable
                is one that Keras overwrites with its gradient.

        Example:
            >>> import keras
            >>> variable = keras.Variable([2.0, 4.0])
            >>> optimizer = INDIAN(alpha=0.5, beta=0.5)
            >>> optimizer.build([variable])
            >>> [float(x) for x in optimizer.psi(variable)]
            [1.5, 3.0]

        Reference:
            arXiv:1905.12278, equation (11) and the proof of Theorem 14.
        """
        # As a tensor: Keras on torch rounds a Python float to floatx where it meets a Variable.
        momentum = ops.convert_to_tensor(self._momentum_of(variable))
        theta = ops.stop_gradient(ops.cast(variable, momentum.dtype))
        return psi_from_momentum(theta, momentum, self.alpha, self.beta)

    def set_psi(self, variable: Any, psi: Any) -> None:
        r"""Set ψ of one variable: w = (ψ − (1 − αβ) θ)/β with the present θ.

        Given before the first step, ψ is ψ_0, and `initial_speed` has no part in the run any more.
        So give it for all variables; those left out start from rest.

        Args:
            variable: θ, one of the variables that the optimizer was built with.
            psi: ψ, an array of θ's shape.

        Raises:
            ValueError: If the optimizer is not built, or not with this variable, or the variable
                is one that Keras overwrites with its gradient, or ψ is not of its shape.

        Example:
            >>> import keras
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
        momentum.assign(momentum_from_psi(theta, psi, self.alpha, self.beta))
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
        """Restore the state from a file, or leave it untouched if the file is not this model's.

        Args:
            store: The arrays of the file by index.

        Raises:
            ValueError: If an array has another shape than the variable that it is for. (If their
                numbers differ, Keras warns and skips the optimizer, as it does for its own.)
        """
        if self.built and len(store.keys()) == len(self.variables):
            store = checked_state(store, self)
        super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config: dict[str, Any] = super().get_config()
        config.update(alpha=self.alpha, beta=self.beta, initial_speed=self.initial_speed)
        return config
