"""The paper's step sizes as a Keras schedule."""

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
