"""Checks of the learning rate: a number that is known is checked, wherever it comes from."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from indian_core import checked


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
    """Return a scalar tensor's value, or None while a program is being traced."""
    try:
        number = float(value)
    except (TypeError, AttributeError, NotImplementedError):
        return None
    # (Inside a tf.function, AutoGraph makes `float` return a tensor.)
    return number if isinstance(number, float) else None


def refuse_bad_rate(learning_rate: Any) -> None:
    """Raise if a learning rate is known to be negative, NaN or infinite."""
    value = known(learning_rate)
    if value is not None and not (value >= 0 and np.isfinite(value)):
        checked("learning_rate", value)
