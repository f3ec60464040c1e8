"""Keeping XLA from copying the buffers: an order between the updates of a step.

θ is written from the old w. XLA on the CPU does not order two updates that do not depend on each
other, so it would copy every w before it updates it, which takes three times as long. Here the
decay of w depends on one entry of the new θ, in a way that XLA cannot fold and that changes no
number.
It also keeps INNAprop's scaled gradient, which two updates read and which is dear to evaluate. So
the leaves are made one after the other: one leaf's room serves them all and stays in the cache. A
leaf that no cache holds has its gradient scaled twice instead, the second time after θ.
On an accelerator XLA makes the updates in one kernel, and between processes the one entry would
have to be sent around.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def after(scalar: Any, array: Any, count: jax.Array) -> Any:
    """Return a scalar as a number that XLA on the CPU cannot know before it has an array.

    Args:
        scalar: An array without dimensions.
        array: What must be there first, or None if it is not known: then nothing is ordered.
        count: The step count, ≥ 0.

    Returns:
        The same number.
    """
    if array is None or not isinstance(array, jax.core.Tracer) or 0 in array.shape:
        return scalar
    if jax.process_count() > 1:
        return scalar

    entry = jnp.real(array[(0,) * array.ndim])

    def probed(scalar: jax.Array, entry: jax.Array) -> jax.Array:
        never = jnp.logical_and(jnp.not_equal(entry, entry), jnp.less(count, -7))
        return jnp.where(never, scalar + jnp.ones_like(scalar), scalar)

    def unchanged(scalar: jax.Array, entry: jax.Array) -> jax.Array:
        # (Of the type that the other has, which may vary over a mesh.)
        return jnp.where(jnp.ones_like(entry, bool), scalar, jnp.zeros_like(scalar))

    return jax.lax.platform_dependent(scalar, entry, cpu=probed, default=unchanged)


def varies_as(array: jax.Array, other: jax.Array) -> bool:
    """Return whether what depends on one array may depend on another inside of `jax.shard_map`.

    There every array has axes of the mesh over which it varies, and an output must not vary more.
    """

    def axes(x: jax.Array) -> frozenset[Any]:
        varying: frozenset[Any] = getattr(getattr(x, "aval", None), "vma", frozenset())
        return varying

    return axes(array) <= axes(other)
