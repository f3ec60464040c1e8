"""Keeping XLA from copying the momentum: an order between the two updates of a step.

θ is written from the old w. XLA on the CPU does not order two updates that do not depend on each
other, so it would copy every w before it updates it, which takes three times as long. Here the
decay of w depends on one entry of the new θ, in a way that XLA cannot fold and that changes no
number. (The sum θ + u is the one that `optax.apply_updates` makes, and XLA takes the two for one.)
On an accelerator XLA makes both updates in one kernel, and between processes the one entry would
have to be sent around.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def after(decay: jax.Array, theta: Any, update: jax.Array, count: jax.Array) -> jax.Array:
    """Return the decay, as a number that XLA on the CPU cannot know before it has θ + update.

    Args:
      decay: The decay of w, a scalar.
      theta: θ, or None if it is not known: then nothing is ordered.
      update: What will be added to θ.
      count: The step count, ≥ 0.

    Returns:
      The same number.
    """
    if theta is None or not isinstance(update, jax.core.Tracer) or 0 in update.shape:
        return decay
    if jax.process_count() > 1:
        return decay

    entry = jnp.real((theta + update)[(0,) * update.ndim])

    def probed(decay: jax.Array, entry: jax.Array) -> jax.Array:
        never = jnp.logical_and(jnp.not_equal(entry, entry), jnp.less(count, -7))
        return jnp.where(never, decay + jnp.ones_like(decay), decay)

    def unchanged(decay: jax.Array, entry: jax.Array) -> jax.Array:
        # (Of the type that the other has, which may vary over a mesh.)
        return jnp.where(jnp.ones_like(entry, bool), decay, jnp.zeros_like(decay))

    found: jax.Array = jax.lax.platform_dependent(decay, entry, cpu=probed, default=unchanged)
    return found
