"""DampedSGD."""

from __future__ import annotations

from typing import Any

import keras

from indian_core import Coefficients, keras_sgd_coefficients
from indian_keras.base import arguments_of
from indian_keras.momentum_law import MomentumLaw


@keras.saving.register_keras_serializable(package="indian")
class DampedSGD(MomentumLaw):
    r"""`keras.optimizers.SGD` with a damping d of its momentum m.

    For each variable θ with gradient v, the optimizer keeps SGD's own slot, here −s. With the
    learning rate lr it makes the step

    $$\theta \leftarrow (1 - lr\,\lambda)\,\theta - (1 - d)\, s - lr\,\tfrac{d}{1 - m}\, v, \qquad
      s \leftarrow m\, s + lr\, v$$

    where the first equation reads the old s. Without a damping it is Keras's SGD, up to
    rounding, with the heavy ball's momentum (d = 1 − m) or Nesterov's (d = 1 − m²). So it also goes
    on from SGD's own saved variables. At d = 1 it is gradient descent.

    All numbers are attributes that may be assigned between steps. As with Keras's own optimizers, a
    program that is already compiled keeps the old numbers, but a schedule works in it.

    At momentum 0 it is gradient descent and leaves the slots as they are. If it is built at
    momentum 0 it has no slots, and its momentum stays 0.

    The slots are kept in float32 for float16 and bfloat16 variables.

    Args:
        learning_rate: lr: a float ≥ 0, a `keras.optimizers.schedules.LearningRateSchedule`, or a
            callable without arguments.
        momentum: m, 0 ≤ m ≤ 1. Begin with your own; with a longer one keep lr/(1 − m).
        nesterov: Whether the momentum is Nesterov's.
        weight_decay: λ ≥ 0, the decoupled weight decay, or None.
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
            `LearningRateSchedule`. Begin with 0.3. None, the default, means SGD's own.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If a hyperparameter is out of range, if a damping is given with Nesterov's
            momentum, or if Keras refuses an argument.

    Examples:
        >>> import keras
        >>> variable = keras.Variable([1.0, -2.0])
        >>> optimizer = DampedSGD(learning_rate=0.1, momentum=0.9, damping=0.3)
        >>> for _ in range(200):
        ...     optimizer.apply([2 * variable.value], [variable])
        >>> bool(keras.ops.all(keras.ops.abs(variable) < 1e-3))
        True

    Reference:
        `indian_core.momentum_law`; at constant numbers Castera et al. (arXiv:1905.12278) and Ma and
        Yarats, Quasi-hyperbolic momentum and Adam for deep learning (arXiv:1810.06801).
    """

    method = "DampedSGD"
    flags = ("nesterov",)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str = "damped_sgd",
        *,
        damping: Any = None,
    ) -> None:
        super().__init__(**arguments_of(locals()))

    def has_momentum(self) -> bool:
        """Return whether the next step has a momentum."""
        return bool(self.momentum)

    def scalars(self, lr: Any) -> Coefficients:
        """Return the scalars of the next step, on SGD's slot, which is −s."""
        damping = self.damping_now(self.momentum, nesterov=self.nesterov)
        if self.built and self.has_momentum() and not self.momentums:
            raise ValueError(
                f"Invalid momentum: {self.momentum} (the optimizer was built at momentum 0, so it "
                "has no slots; build a new one)"
            )
        step = keras_sgd_coefficients(lr, self.momentum, self.nesterov, damping)
        return step._replace(
            theta_momentum=-step.theta_momentum, momentum_gradient=-step.momentum_gradient
        )
