"""The dtype rule: the dtype in which a step is computed, and the dtype of its updates.

A step is computed in the widest dtype of gradient, momentum, parameter (if ``params`` are given)
and float32, and rounded once: the momentum to its own dtype, the update to the wider dtype of
gradient and parameter, as in `optax.sgd`. (A 16-bit gradient of a float32 parameter has a float32
update, because small steps vanish in 16 bits.) Without ``params``, the dtype of the momentum stands
for that of the parameter. JAX's strict promotion does not apply here: see `standard_promotion`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

_WIDE = (np.float32, np.float64, np.complex64, np.complex128)


def standard_promotion(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that may mix dtypes under any ``jax_numpy_dtype_promotion``."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*args, **kwargs)

    return wrapped


def working_dtype(*dtypes: Any) -> np.dtype[Any]:
    """Return the widest of these dtypes, but at least float32, and complex if one of them is."""
    # NumPy has no bfloat16, and JAX does not promote floats of 8 bits.
    wide = [dtype if dtype in _WIDE else np.float32 for dtype in dtypes]
    return np.result_type(np.float32, *wide)


def update_dtype(gradient: Any, parameter: Any) -> Any:
    """Return an update's dtype: the common one, or else the wider one, but at least float32."""
    return gradient if gradient == parameter else working_dtype(gradient, parameter)


def checked_dtype(name: str, dtype: Any) -> Any:
    """Return a momentum's dtype in JAX's canonical form, or None for None.

    Raises:
        TypeError: If it is no dtype, or one of no real or complex numbers.
    """
    if dtype is None:
        return None
    error = TypeError(f"Invalid {name}: {dtype!r} (it must be a floating-point or complex dtype)")
    try:
        canonical = jax.dtypes.canonicalize_dtype(dtype)
    except (TypeError, ValueError):
        raise error from None
    if not jnp.issubdtype(canonical, jnp.inexact):
        raise error
    return canonical


def init_momentum(params: optax.Params, dtype: Any | None) -> optax.Updates:
    """Return zeros of the dtype, or of each θ's but at least float32. They are complex if θ is."""

    def zeros(theta: Any) -> jax.Array:
        of_theta = jnp.result_type(theta)
        if dtype is None:
            return jnp.zeros_like(theta, dtype=working_dtype(of_theta))
        if jnp.issubdtype(of_theta, jnp.complexfloating):
            return jnp.zeros_like(theta, dtype=working_dtype(dtype, np.complex64))
        return jnp.zeros_like(theta, dtype=dtype)

    return jax.tree.map(zeros, params)
