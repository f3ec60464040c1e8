"""The gradient over its root mean square, on a tree."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import second_moment
from indian_optax.base import Direction, Made
from indian_optax.dtypes import working_dtype
from indian_optax.hyperparameters import Scalar


def init_squares(momentum: optax.Updates) -> optax.Updates:
    """Return V before the first step, in the momentum's dtype, but real and at least float32."""
    return jax.tree.map(
        lambda s: jnp.zeros_like(s, dtype=np.finfo(working_dtype(s.dtype)).dtype), momentum
    )


def scaled_by_rms(
    decay: Scalar, eps: Scalar, count: jax.Array, eps_root: Scalar = 0.0
) -> Direction:
    """Return the direction of a step.

    Args:
        decay: σ, the decay rate of V.
        eps: ε, outside the root.
        count: The number of gradients that the new V holds.
        eps_root: What is added to V/(1 − σ^t) inside the root.
    """

    # Cached, because most leaves have the same precision.
    @functools.cache
    def numbers(dtype: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        sigma = jnp.asarray(decay, dtype)
        # From the σ of this precision, and with all digits for a σ near 1. An error here would be
        # an error of the corrected V.
        correction = -jnp.expm1(count.astype(dtype) * jnp.log1p(sigma - 1))
        return sigma, jnp.asarray(eps, dtype), 1 / correction

    def direction(v: jax.Array, old: jax.Array) -> tuple[Made, jax.Array]:
        dtype = np.finfo(v.dtype).dtype
        sigma, epsilon, inverse = numbers(dtype)
        size = jnp.abs(v) if jnp.iscomplexobj(v) else v
        nu = second_moment(old.astype(dtype), size, sigma)

        def made(one: Any) -> jax.Array:
            square = nu * (inverse * one)
            if not isinstance(eps_root, float) or eps_root:
                square += jnp.asarray(eps_root, dtype)
            return v / (jnp.sqrt(square) + epsilon)

        return made, nu.astype(old.dtype)

    return direction
