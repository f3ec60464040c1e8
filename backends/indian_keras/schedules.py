"""The paper's step sizes as a Keras schedule, and the checks of numbers that may be scheduled."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from indian_core import POWER, checked, power_decay


@keras.saving.register_keras_serializable(package="indian")
class PowerDecay(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    r"""The paper's step sizes, $\gamma_k = \gamma_0 (k + 1)^{-q}$.

    k counts the optimizer's steps from 0. Under gradient accumulation, Keras counts every
    minibatch. Figures 2 and 3 of the paper use q = 1/2; Figure 4 uses slower decays, down to 1/4.

    Args:
        initial_learning_rate: γ_0 ≥ 0, the step size of the first iteration.
        power: q ≥ 0, the decay exponent. With q = 0 the step size is constant.

    Raises:
        TypeError: If an argument is not a real number.
        ValueError: If an argument is negative, NaN or infinite.

    Examples:
        >>> schedule = PowerDecay(0.5)
        >>> float(schedule(3))
        0.25

    Reference:
        Castera, Bolte, Févotte, Pauwels, An Inertial Newton Algorithm for Deep Learning
        (arXiv:1905.12278), Assumption 1 and section 5.
    """

    def __init__(self, initial_learning_rate: float, power: float = POWER) -> None:
        self.initial_learning_rate = checked("initial_learning_rate", initial_learning_rate)
        self.power = checked("power", power)

    def __call__(self, step: Any) -> Any:
        """Return γ_k for k = ``step``, a scalar tensor in float32, or in float64 if that is floatx.

        (16 bits would not hold k.)
        """
        k = ops.cast(step, "float64" if keras.config.floatx() == "float64" else "float32")
        return power_decay(k, self.initial_learning_rate, self.power)

    def get_config(self) -> dict[str, float]:
        """Return the arguments of the constructor."""
        return {"initial_learning_rate": self.initial_learning_rate, "power": self.power}


def is_schedule(value: Any) -> bool:
    """Return whether a value is a schedule, and no number."""
    return isinstance(value, keras.optimizers.schedules.LearningRateSchedule)


def as_learning_rate(learning_rate: Any) -> Any:
    """Return a number as a float, and a schedule, a callable or a traced tensor unchanged.

    Raises:
        TypeError: If it is none of these, and not a scalar array or tensor.
        ValueError: If it is negative, NaN or infinite.
    """
    if callable(learning_rate) and not isinstance(learning_rate, type):
        return learning_rate
    is_tensor = ops.is_tensor(learning_rate) or isinstance(learning_rate, keras.Variable)
    if is_tensor and tuple(learning_rate.shape) == ():
        value = known(ops.stop_gradient(ops.convert_to_tensor(learning_rate)))
        return learning_rate if value is None else checked("learning_rate", value)
    return checked("learning_rate", learning_rate)


def known(value: Any) -> float | None:
    """Return a scalar's value, or None while a program is being traced."""
    try:
        number = float(value)
    except (TypeError, AttributeError, NotImplementedError):
        return None
    # Inside a tf.function, AutoGraph makes `float` return a tensor.
    return number if isinstance(number, float) else None
