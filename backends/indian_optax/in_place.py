"""An order between the updates of a step, which keeps XLA from copying the buffers.

θ is written from the old momentum. XLA on the CPU does not order two updates that do not depend on
each other, so it would copy every momentum before updating it, which takes three times as long.
Here the factor of the momentum depends on one entry of the new θ, in a way that XLA cannot fold and
that changes no number.
XLA would also store the scaled gradient, because two updates read it. So the gradient is scaled
twice, the second time after θ, which is faster.
The order is not imposed where JAX's default device is an accelerator, where XLA makes the updates
in one kernel, nor between processes, where the one entry would have to be sent around, nor on
explicit meshes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

# A copy of fewer numbers costs less than the order, which takes time to compile.
_SMALL = 2**13


def wait_for(array: Any, count: jax.Array, dtype: Any) -> jax.Array | None:
    """Return the number 1 in a form that XLA on the CPU cannot know before it has an array.

    Args:
        array: The array that XLA must have first, or None if it is not known.
        count: The step count, ≥ 0.
        dtype: The real dtype of the number.

    Returns:
        The number, or None where there is no order.
    """
    if not isinstance(array, jax.core.Tracer) or array.size < _SMALL:
        return None
    if jax.default_backend() != "cpu" or jax.process_count() > 1 or _is_sharded(array):
        return None
    # XLA's own operations, because jnp's indexing takes most of the time of tracing a step.
    first = jax.lax.slice(array, (0,) * array.ndim, (1,) * array.ndim)
    entry = jnp.real(jax.lax.reshape(first, ()))
    never = jax.lax.bitwise_and(jax.lax.ne(entry, entry), jnp.less(count, -7))
    one = jnp.ones((), dtype)
    return jax.lax.select(never, one + 1, one)


def _is_sharded(array: jax.Array) -> bool:
    """Return whether an array's type says that it lies on several devices, as on explicit meshes.

    It has no entry there that all devices have.
    """
    sharding = getattr(getattr(array, "aval", None), "sharding", None)
    return any(axes is not None for axes in getattr(sharding, "spec", ()))
