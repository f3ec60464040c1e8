"""Which hyperparameters are known when a transformation is made, and their check."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import numpy as np

from indian_core import check_hyperparameters

# What optax.inject_hyperparams, jit and vmap make of a number.
Scalar: TypeAlias = float | jax.Array | np.ndarray


def as_scalar(name: str, value: Any) -> Scalar:
    """Return a hyperparameter as a checked Python float, or unchanged if it is an array.

    A number is known now, so it is checked now and its share of the step's arithmetic is done in
    double precision. An array may be traced or live on a device: only its shape is checked.

    Args:
      name: The argument's name, for the error text.
      value: What the user gave.

    Returns:
      The float, or the array.

    Raises:
      TypeError: If the value is neither a real number nor an array.
      ValueError: If a number is out of range, or an array is not a scalar.
    """
    if isinstance(value, jax.Array | np.ndarray):
        if value.ndim != 0:
            raise ValueError(
                f"Invalid {name}: an array of shape {value.shape} (a scalar is needed)"
            )
        return value
    check_hyperparameters(**{name: value})
    return float(value)


def as_scalar_or_schedule(name: str, value: Any) -> Any:
    """Return `as_scalar` of the value, or the value itself if it is a schedule."""
    return value if callable(value) else as_scalar(name, value)


def at_count(value: Any, count: Any) -> Any:
    """Return the value of a scalar or schedule at this step count."""
    return value(count) if callable(value) else value
