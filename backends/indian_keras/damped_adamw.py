"""DampedAdamW."""

from __future__ import annotations

from typing import Any

import keras

from indian_core import DAMPING, Coefficients, adamw_coefficients, checked
from indian_keras.base import arguments_of
from indian_keras.momentum_law import MomentumLaw


@keras.saving.register_keras_serializable(package="indian")
class DampedAdamW(MomentumLaw):
    r"""`keras.optimizers.AdamW` with a damping d of its momentum m, which is beta_1.

    For each variable θ with gradient v, the optimizer keeps two slots of θ's shape, s and V. s is
    an average of scaled gradients u, where Adam scales an average of gradients:

    $$V_t = \beta_2 V_{t-1} + (1 - \beta_2)\, v_t^2, \qquad
      u_t = \frac{v_t}{\sqrt{V_t/(1 - \beta_2^t)} + \varepsilon}$$

    $$\theta \leftarrow (1 - lr\,\lambda)\,\theta - lr\,((1 - d)\, s + d\, u), \qquad
      s \leftarrow m\, s + (1 - m)\, u$$

    where the second line reads the old s. At d = 1 it is AdamW with beta_1 = 0. ε is added outside
    the root, after the bias correction, as in PyTorch's Adam; Keras's Adam adds its ε before the
    correction. t counts the optimizer's steps. AdamW's own saved variables cannot be loaded,
    because its average is one of gradients.

    All numbers are attributes that may be assigned between steps. As with Keras's own optimizers, a
    program that is already compiled keeps the old numbers, but a schedule works in it.

    s and V are kept in float32 for float16 and bfloat16 variables. For complex variables V is real,
    the mean of |v|², so that u has the phase of v.

    Args:
        learning_rate: lr, AdamW's: a float ≥ 0, a
            `keras.optimizers.schedules.LearningRateSchedule`, or a callable without arguments.
        weight_decay: λ ≥ 0, the decoupled weight decay, or None.
        beta_1: m, 0 ≤ m < 1. Begin with 0.9 up to 1,000 steps, beyond it with 0.97.
        beta_2: The decay rate of V, 0 ≤ β2 < 1.
        epsilon: ε ≥ 0.
        amsgrad: Must be False.
        clipnorm: The largest norm of each variable's gradient.
        clipvalue: The largest absolute value of a gradient's entries.
        global_clipnorm: The largest norm of all gradients together.
        use_ema: Whether to keep an exponential moving average of the variables.
        ema_momentum: The decay of that average.
        ema_overwrite_frequency: After how many steps the average overwrites the variables.
        loss_scale_factor: A factor on the loss, and its inverse on the gradients.
        gradient_accumulation_steps: How many minibatches' gradients are averaged for one step.
        name: The optimizer's name.
        damping: d, the share of the newest gradient in a step, from 1 − m to 1: a float or a
            `LearningRateSchedule`. Begin with the default.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If a hyperparameter is out of range, if the damping does not go with beta_1, if
            amsgrad is asked for, or if Keras refuses an argument.

    Examples:
        >>> import keras
        >>> variable = keras.Variable([1.0, -2.0])
        >>> optimizer = DampedAdamW(learning_rate=0.05)
        >>> for _ in range(200):
        ...     optimizer.apply([2 * variable.value], [variable])
        >>> bool(keras.ops.all(keras.ops.abs(variable) < 0.1))
        True

    Reference:
        `indian_core.momentum_law`; at constant numbers Bolte, Boustany, Pauwels, Purica, A
        second-order-like optimizer with adaptive gradient scaling for deep learning
        (arXiv:2410.05871).
    """

    method = "DampedAdamW"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str = "damped_adamw",
        *,
        damping: Any = DAMPING,
    ) -> None:
        if amsgrad:
            raise ValueError(f"Invalid amsgrad: {amsgrad} (DampedAdamW has none)")
        arguments = arguments_of(locals())
        del arguments["amsgrad"]
        super().__init__(**arguments)

    def scalars(self, lr: Any) -> Coefficients:
        """Return the scalars of the next step."""
        if self.damping is None:
            checked("damping", None)
        return adamw_coefficients(lr, self.beta_1, self.damping_now(self.beta_1))
