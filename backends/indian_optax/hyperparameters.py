"""Hyperparameters that are numbers now, and those that are arrays or schedules."""

from __future__ import annotations

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from indian_core import checked, checked_damping

Scalar: TypeAlias = Any  # a float, or a scalar array, traced or not
ScalarOrSchedule: TypeAlias = Any


def as_scalar(name: str, value: Any) -> Scalar:
    """Return a hyperparameter as a checked Python float, or unchanged if it is an array.

    A number is known now, so it is checked now, and its part of the step's arithmetic is done in
    double precision. An array may be traced (optax.inject_hyperparams, vmap) or lie partly on
    other hosts. Then only its shape is checked. Otherwise its value is checked too, which waits
    for its device. A jitted step never waits.

    Raises:
        TypeError: If the value is neither a real number nor an array.
        ValueError: If a known value is out of range, or an array is not a scalar.
    """
    if not isinstance(value, jax.Array | np.ndarray):
        return checked(name, value)
    if value.ndim != 0:
        raise ValueError(f"Invalid {name}: an array of shape {value.shape}, not a scalar")
    if _is_known(value):
        checked(name, np.asarray(jax.device_get(value)))
    return value


def _is_known(value: Scalar) -> bool:
    """Return whether a value can be read here and now."""
    if isinstance(value, jax.Array):
        return not isinstance(value, jax.core.Tracer) and value.is_fully_addressable
    return True


def check_damping(damping: Scalar, momentum: Scalar, *, nesterov: bool = False) -> None:
    """Raise if a damping does not go with a momentum, as far as both are known now.

    Raises:
        ValueError: If it is out of its range, or given with Nesterov's momentum.
    """
    if nesterov:
        checked_damping(damping, 0.0, nesterov=True)
    if not (_is_known(damping) and _is_known(momentum)):
        return
    d, m = float(damping), float(momentum)
    is_exact = isinstance(damping, float) and isinstance(momentum, float)
    # Injected numbers have been rounded to float32.
    if is_exact or d < (1 - m) * (1 - 1e-6) or m >= 1:
        checked_damping(d, m)


def as_scalar_or_schedule(name: str, value: Any) -> ScalarOrSchedule:
    """Return a schedule unchanged, and `as_scalar` of anything else."""
    return value if callable(value) else as_scalar(name, value)


def at_count(name: str, value: ScalarOrSchedule, count: jax.Array) -> Scalar:
    """Return the value of a scalar or schedule at this step count.

    Raises:
        TypeError: If a schedule does not return a number or an array.
        ValueError: If it returns an array that is not a scalar.
    """
    if not callable(value):
        return value
    rate = value(count)
    try:
        rate = jnp.asarray(rate)
    except TypeError:
        raise TypeError(f"Invalid {name}: the schedule returned {rate!r}, not a number") from None
    if rate.shape:
        raise ValueError(f"Invalid {name}: the schedule returned shape {rate.shape}, not a scalar")
    return rate


def cast(dtype: Any, *values: Scalar) -> list[Scalar]:
    """Return arrays in this dtype, and floats and None unchanged, since they go with any dtype.

    The cast comes before any arithmetic, so that a float32 hyperparameter of float64 parameters
    costs only its own rounding.
    """
    return [
        x if x is None or isinstance(x, float) else jnp.asarray(x).astype(dtype) for x in values
    ]
