"""INDIAN."""

from __future__ import annotations

import math
from typing import Any

import keras

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    LR,
    Coefficients,
    as_keras,
    checked,
    from_sgd,
    momentum_units,
    translated,
)
from indian_keras.base import Optimizer


@keras.saving.register_keras_serializable(package="indian")
class INDIAN(Optimizer):
    r"""INDIAN (INNA), an inertial Newton algorithm.

    For each variable θ with gradient v, the optimizer keeps one slot w of θ's shape. With the
    learning rate γ, the viscous damping α and the Newton damping β, it makes the step

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k$$

    $$w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) with w = (α − 1/β) θ + ψ/β instead of ψ; `psi` and `set_psi`
    convert between the two. The initial velocity of θ is −s v_0. The first step is the first one
    that is applied: under gradient accumulation the first full step, under loss scaling the first
    step that is not skipped. A variable whose first gradient comes later starts from rest, w = 0,
    for any s.

    w is kept in float32 for float16 and bfloat16 variables, because 1 − αγ needs the digits.

    Args:
        learning_rate: The learning rate γ: a float ≥ 0, a
            `keras.optimizers.schedules.LearningRateSchedule` (the paper's own is `PowerDecay`), or
            a callable without arguments. Defaults to 0.1.
        alpha: α ≥ 0, the viscous damping. Defaults to 0.1. At 0.1 the learning rate is on the scale
            of SGD's at momentum 0.9, because the overall step size γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping. Defaults to 2.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. Defaults to None,
            which means the β of the first step, a start from rest. The paper uses 1.
        weight_decay: λ ≥ 0, the decoupled weight decay. Each step starts with θ ← (1 − γλ) θ.
        clipnorm: The largest norm of each variable's gradient.
        clipvalue: The largest absolute value of a gradient's entries.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep an exponential moving average of the variables.
        ema_momentum: The decay of that average.
        ema_overwrite_frequency: After how many steps the average overwrites the variables.
        loss_scale_factor: A factor on the loss, and its inverse on the gradients.
        gradient_accumulation_steps: How many minibatches' gradients are averaged for one step.
        name: The optimizer's name. Defaults to "indian".
        reference_lr: The learning rate at which α and β hold. If it is given, α and β follow the
            learning rate so that a schedule does not change the momentum and d = αβ
            (`indian_core.kept_momentum`; ``keep_momentum`` sets it). The momentum then contains
            each gradient times the learning rate of its own step, as in Keras's SGD. Defaults to
            None, which keeps α and β constant.
        **kwargs: No other arguments are accepted.

    Raises:
        TypeError: If α, β, s or λ is not a real number, or an argument is not one of INDIAN's.
        ValueError: If a hyperparameter is negative, NaN or infinite, if β is 0, or if Keras refuses
            an argument.

    Examples:
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

    method = "INDIAN"

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
        reference_lr: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=learning_rate,
            alpha=alpha,
            beta=beta,
            initial_speed=initial_speed,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            reference_lr=reference_lr,
            unknown=kwargs,
        )

    def _coefficients(self, learning_rate: Any, first: Any) -> Coefficients:
        """Return the scalars of the linear step; a kept momentum is like that of Keras's SGD."""
        step = super()._coefficients(learning_rate, first)
        if self.reference_lr is None:
            return step
        return as_keras(step, learning_rate, self.reference_lr)

    def _units(self) -> float:
        return 1.0

    def _squared_units(self) -> float:
        scale = self._scale_at(1.0 if self.reference_lr is None else float(self.learning_rate))
        return 1 / scale if scale else math.inf

    def _scale_at(self, lr: float) -> float:
        return float(momentum_units(lr, self.reference_lr))

    @classmethod
    def from_sgd(
        cls,
        learning_rate: Any,
        momentum: float = 0.0,
        nesterov: bool = False,
        damping: float | None = None,
        weight_decay: float | None = None,
        keep_momentum: bool = True,
        **kwargs: Any,
    ) -> INDIAN:
        r"""Return the INDIAN that makes exactly the steps of `keras.optimizers.SGD`.

        It takes SGD's own arguments, and its `learning_rate` is SGD's, a schedule included. It
        starts from rest. The damping d = αβ is 1 − m for the heavy ball, with m SGD's momentum,
        1 − m² for Nesterov's momentum, and 1 for gradient descent. Values of d in between add
        Newton damping at the same step size.

        m and d stay constant along a schedule. Without ``keep_momentum`` the `learning_rate` is γ:

        $$\gamma = \sqrt{lr}, \quad \alpha = (1 - m)/\gamma, \quad \beta = d/\alpha$$

        That is the same run at a constant learning rate. A schedule's factors on γ scale the step
        size γ/α alike, but the memory, 1/(αγ) steps, grows as γ falls.

        Args:
            learning_rate: SGD's learning rate: anything that `INDIAN` takes, or a float > 0 without
                ``keep_momentum``.
            momentum: SGD's momentum m, 0 ≤ m ≤ 1.
            nesterov: Whether SGD uses Nesterov's momentum.
            damping: d = αβ, from 1 − m to 1, which replaces SGD's own d.
            weight_decay: SGD's weight decay ≥ 0. It is decoupled and multiplied by SGD's learning
                rate.
            keep_momentum: Whether m and d stay constant along a schedule.
            **kwargs: Further arguments of `INDIAN`. ``alpha`` and ``beta`` replace the values
                computed from SGD's.

        Returns:
            The optimizer.

        Raises:
            TypeError: If an argument is not a real number.
            ValueError: If an argument is out of range, or if SGD itself would refuse it.

        Examples:
            >>> schedule = keras.optimizers.schedules.CosineDecay(0.25, 100)
            >>> INDIAN.from_sgd(schedule, momentum=0.75, damping=0.5).alpha
            0.25
            >>> INDIAN.from_sgd(learning_rate=0.25, momentum=0.75, keep_momentum=False).beta
            0.5

        Reference:
            Ma and Yarats, Quasi-hyperbolic momentum and Adam for deep learning
            (arXiv:1810.06801), whose method contains both.
        """
        numbers = translated(from_sgd, learning_rate, momentum, nesterov, damping, keep_momentum)
        lr = numbers.pop("lr")
        if weight_decay is not None:
            # (A step decays by its learning rate times λ, and γ² is SGD's learning rate.)
            weight_decay = checked("weight_decay", weight_decay) * (1 if keep_momentum else lr)
        numbers |= {"initial_speed": None, "weight_decay": weight_decay}
        return cls(lr, **(numbers | kwargs))
