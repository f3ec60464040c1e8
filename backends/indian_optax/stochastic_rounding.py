"""Stochastic rounding of 16-bit parameters, without which small steps are lost."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class StochasticRoundingState(NamedTuple):
    """State of `stochastic_rounding`: the random key of the next step."""

    rng_key: jax.Array


def stochastic_rounding(key: jax.Array | int) -> optax.GradientTransformation:
    """Round 16-bit parameters stochastically when the updates are applied."""
    key = jax.random.key(key) if isinstance(key, int) else key

    def init_fn(params: optax.Params) -> StochasticRoundingState:
        del params
        return StochasticRoundingState(key)

    def update_fn(
        updates: optax.Updates, state: StochasticRoundingState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, StochasticRoundingState]:
        rng_key, step_key = jax.random.split(state.rng_key)
        leaves, treedef = jax.tree.flatten(updates)
        keys = treedef.unflatten(jax.random.split(step_key, len(leaves)))

        def update(u: jax.Array, p: jax.Array, key: jax.Array) -> jax.Array:
            if p.dtype not in (jnp.bfloat16, jnp.float16):
                return u
            exact = p.astype(jnp.float32) + u.astype(jnp.float32)
            return _round(exact, p.dtype, key).astype(jnp.float32) - p.astype(jnp.float32)

        return jax.tree.map(update, updates, params, keys), StochasticRoundingState(rng_key)

    return optax.GradientTransformation(init_fn, update_fn)


def _round(x: jax.Array, dtype: jnp.dtype, key: jax.Array) -> jax.Array:
    nearest = x.astype(dtype)
    towards = jnp.where(nearest.astype(x.dtype) < x, jnp.inf, -jnp.inf).astype(dtype)
    other = jnp.nextafter(nearest, towards)
    near, far = nearest.astype(x.dtype), other.astype(x.dtype)
    chance = (x - near) / (far - near)
    return jnp.where(jax.random.uniform(key, x.shape) < chance, other, nearest)
