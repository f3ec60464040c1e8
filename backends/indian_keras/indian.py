"""INDIAN."""

from __future__ import annotations

from typing import Any

import keras

from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_keras.base import arguments_of
from indian_keras.psi import PaperLaw


@keras.saving.register_keras_serializable(package="indian")
class INDIAN(PaperLaw):
    r"""INDIAN (INNA), an inertial Newton algorithm.

    For each variable θ with gradient v, the optimizer keeps one slot w of θ's shape. With the
    learning rate γ, the viscous damping α and the Newton damping β, it makes the step

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k$$

    $$w_0 = (s - \beta)\, v_0$$

    This is the paper's equation (11) with w = (α − 1/β) θ + ψ/β instead of ψ; `psi` and `set_psi`
    convert between the two.

    The initial velocity of θ is −s v_0. All variables have the same first step, the first one that
    is applied: not one that only accumulates gradients, nor one that loss scaling skips. A variable
    whose first gradient comes later starts from rest.

    w is kept in float32 for float16 and bfloat16 variables, because 1 − αγ needs the digits.

    Args:
        learning_rate: The learning rate γ: a float ≥ 0, a
            `keras.optimizers.schedules.LearningRateSchedule` (the paper's own is `PowerDecay`), or
            a callable without arguments. Defaults to 0.1.
        alpha: α ≥ 0, the viscous damping. Defaults to 0.1. At 0.1 begin with SGD's learning rate at
            momentum 0.9, and try up to three times as much: γ/α is SGD's lr/(1 − m).
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

    Raises:
        TypeError: If α, β, s or λ is not a real number.
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
    ) -> None:
        super().__init__(**arguments_of(locals()))
