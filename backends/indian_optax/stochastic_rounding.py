"""Stochastic rounding of 16-bit parameters, without which small steps are lost."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax.trees import is_none, leaves_like


class StochasticRoundingState(NamedTuple):
    """State of `stochastic_rounding`.

    Attributes:
      rng_key: The random key of the next step.
    """

    rng_key: jax.Array


def stochastic_rounding(key: jax.Array | int) -> optax.GradientTransformation:
    r"""Round 16-bit parameters up or down at random, in proportion, when updates are applied.

    With :math:`\lfloor x \rfloor` and :math:`\lceil x \rceil` the parameter dtype's numbers on
    both sides of :math:`x = \theta + u`, the new parameter is

    .. math::
      \theta \leftarrow \lceil x \rceil \text{ with probability }
      (x - \lfloor x \rfloor)/(\lceil x \rceil - \lfloor x \rfloor),
      \text{ else } \lfloor x \rfloor

    so that its expectation is :math:`x`. Rounded to nearest, an update below half a unit in the
    last place of its parameter is lost every time, and training in pure bfloat16 or float16 stalls
    when steps become small. It must be the last transformation of a chain, and needs ``params``.

    Args:
      key: Random key, as made by :func:`jax.random.key`, or an integer seed.

    Returns:
      A :class:`optax.GradientTransformation` object. The updates of bfloat16 and float16 parameters
      are float32 and lead :func:`optax.apply_updates` to the rounded value; the other updates pass
      unchanged.

    Raises:
      TypeError: If ``key`` is neither a random key nor an integer.
      ValueError: ``update`` raises it without ``params``, or if the trees do not match.

    Examples:
      >>> import optax
      >>> import jax.numpy as jnp
      >>> from indian_optax import indian, stochastic_rounding
      >>> solver = optax.chain(indian(0.01, initial_speed=0.1), stochastic_rounding(key=0))
      >>> params = jnp.ones(10_000, jnp.bfloat16)
      >>> updates, state = solver.update(jnp.ones_like(params), solver.init(params), params)
      >>> params = optax.apply_updates(params, updates)  # to nearest, the step of -0.001 is lost
      >>> print(jnp.unique(params))
      [0.996094 1]
      >>> print('{:.4f}'.format(jnp.mean(params.astype(jnp.float32))))
      0.9990

    References:
      Gupta et al, `Deep Learning with Limited Numerical Precision
      <https://arxiv.org/abs/1502.02551>`_, 2015
    """
    first_key = _as_key(key)

    def init_fn(params: optax.Params) -> StochasticRoundingState:
        del params
        return StochasticRoundingState(first_key)

    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, StochasticRoundingState]:
        if params is None:
            raise ValueError("stochastic_rounding needs `params`: update(updates, state, params)")
        treedef: Any
        leaves, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        theta = leaves_like(treedef, leaves, params, "updates", "the parameters")
        rng_key, step_key = jax.random.split(cast(StochasticRoundingState, state).rng_key)
        keys = jax.random.split(step_key, len(leaves))
        rounded = [_rounded(u, p, k) for u, p, k in zip(leaves, theta, keys, strict=True)]
        return treedef.unflatten(rounded), StochasticRoundingState(rng_key)

    return optax.GradientTransformation(init_fn, update_fn)


def _as_key(key: Any) -> jax.Array:
    """Return the key of an integer seed, or a key, typed or of the old kind, as it is."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return jax.random.key(key)
    if isinstance(key, jax.Array | np.ndarray) and (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    ):
        return cast(jax.Array, key)
    raise TypeError(f"Invalid key: {key!r} (it must be a random key or an integer seed)")


def _rounded(update: jax.Array | None, theta: jax.Array, key: jax.Array) -> jax.Array | None:
    """Return the update that takes θ to a number of its own dtype."""
    if update is None or theta.dtype not in (jnp.bfloat16, jnp.float16):
        return update
    start = theta.astype(jnp.float32)
    exact = start + update.astype(jnp.float32)
    nearest = exact.astype(theta.dtype)
    near = nearest.astype(jnp.float32)
    towards = jnp.where(near < exact, jnp.inf, -jnp.inf).astype(theta.dtype)
    far = jnp.nextafter(nearest, towards).astype(jnp.float32)
    chance = (exact - near) / (far - near)
    # Written so that a NaN chance, of what is not finite, leaves the nearest.
    moved = jax.random.uniform(key, exact.shape) < chance
    return jnp.where(moved, far, near) - start
