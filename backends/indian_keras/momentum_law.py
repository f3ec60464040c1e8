"""The damping of the momentum law: a number or a schedule, checked with the momentum."""

from __future__ import annotations

from typing import Any

import keras

from indian_core import checked_damping
from indian_keras.backend import scalar
from indian_keras.base import Optimizer
from indian_keras.schedules import is_schedule, known

# How much a schedule, which computes in float32, may be off at the ends of the damping's range.
_ROUNDING = 1e-6


class MomentumLaw(Optimizer):
    """A method with a learning rate, a momentum m and a damping, a number or a schedule."""

    def damping_now(self, momentum: float, *, nesterov: bool = False) -> Any:
        """Return the next step's damping: a float, a tensor, or None.

        Raises:
            ValueError: If it does not go with the momentum. In a compiled program the values of a
                schedule are not known, and not checked.
        """
        if self.damping is None:
            return None
        if not is_schedule(self.damping):
            return checked_damping(self.damping, momentum, nesterov=nesterov)
        damping = self.damping(self._iterations)
        number = known(damping)
        if number is None or 1 - _ROUNDING <= number <= 1 + _ROUNDING:
            number = 1.0
        elif abs(number - (1 - momentum)) <= _ROUNDING:
            number = 1 - momentum
        checked_damping(number, momentum, nesterov=nesterov)
        return scalar(damping, self.precision)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        config = super().get_config()
        if is_schedule(self.damping):
            config["damping"] = keras.optimizers.schedules.serialize(self.damping)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Return an optimizer with the arguments that `get_config` returned."""
        damping = config.get("damping")
        if isinstance(damping, dict):
            schedule = keras.optimizers.schedules.deserialize(damping, custom_objects)
            config = config | {"damping": schedule}
        return super().from_config(config, custom_objects)
