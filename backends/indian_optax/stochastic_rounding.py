"""Stochastic rounding of 16-bit parameters, without which small steps are lost."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax.base import checked_state
from indian_optax.dtypes import standard_promotion
from indian_optax.trees import is_none, leaves_like


class StochasticRoundingState(NamedTuple):
    """State of `stochastic_rounding`.

    Attributes:
        rng_key: The data of the next step's random key (`jax.random.key_data`), which are numbers
            that any checkpoint can hold.
        inner_state: The state of the inner optimizer.
    """

    rng_key: jax.Array
    inner_state: optax.OptState


def stochastic_rounding(
    inner: optax.GradientTransformation, key: jax.Array | int
) -> optax.GradientTransformationExtraArgs:
    r"""Round 16-bit parameters up or down at random, in proportion, when updates are applied.

    Let $\lfloor x \rfloor$ and $\lceil x \rceil$ be the parameter dtype's numbers on
    both sides of $x = \theta + u$. The new parameter is

    $$\theta \leftarrow \lceil x \rceil \text{ with probability }
      (x - \lfloor x \rfloor)/(\lceil x \rceil - \lfloor x \rfloor),
      \text{ else } \lfloor x \rfloor$$

    so that its expectation is $x$. With rounding to nearest, an update of less than half a unit in
    the last place of its parameter is lost every time, and training in pure bfloat16 or float16
    stalls when steps become small. The inner optimizer gets 16-bit gradients and parameters as
    float32, so that nothing is rounded earlier. Put `stochastic_rounding` around the whole chain.

    Args:
        inner: The optimizer, any `optax.GradientTransformation`.
        key: Random key, as made by `jax.random.key`, or an integer seed.

    Returns:
        The corresponding `optax.GradientTransformationExtraArgs`. The updates of bfloat16 and
        float16 parameters have the parameter's dtype, and `optax.apply_updates` makes the rounded
        value from them. (It makes a number near that value if the step is as large as the parameter
        and the update needs more digits than the dtype has.) Other updates are not changed.

    Raises:
        TypeError: If ``key`` is neither a random key nor an integer, or ``inner`` is not an
            optimizer.
        ValueError: ``update`` raises it without ``params``, or if the trees do not match.

    Examples:
        >>> import optax
        >>> import jax.numpy as jnp
        >>> from indian_optax import indian, stochastic_rounding
        >>> solver = stochastic_rounding(indian(0.01, initial_speed=0.1), key=0)
        >>> params = jnp.ones(10_000, jnp.bfloat16)
        >>> updates, state = solver.update(jnp.ones_like(params), solver.init(params), params)
        >>> params = optax.apply_updates(params, updates)  # to nearest, the step of -0.001 is lost
        >>> print(jnp.unique(params))
        [0.996094 1]
        >>> print('{:.4f}'.format(jnp.mean(params.astype(jnp.float32))))
        0.9990

    Source: Gupta et al, [Deep Learning with Limited Numerical
    Precision](https://arxiv.org/abs/1502.02551), 2015.
    """
    if not isinstance(inner, optax.GradientTransformation):
        raise TypeError(f"Invalid inner: {inner!r} (it must be a GradientTransformation)")
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        key = jax.random.key(key)
    try:
        first_key, implementation = jax.random.key_data(key), jax.random.key_impl(key)
    except (TypeError, ValueError):
        raise TypeError(
            f"Invalid key: {key!r} (it must be a random key or an integer seed)"
        ) from None
    inner = optax.with_extra_args_support(inner)

    def init_fn(params: optax.Params) -> StochasticRoundingState:
        # A copy, because a donated state's buffers are gone.
        return StochasticRoundingState(jnp.array(first_key), inner.init(params))

    def update_fn(
        updates: optax.Updates,
        state: optax.OptState,
        params: optax.Params | None = None,
        **extra_args: Any,
    ) -> tuple[optax.Updates, StochasticRoundingState]:
        if params is None:
            raise ValueError("stochastic_rounding needs `params`: update(updates, state, params)")
        rng_key, inner_state = checked_state(state, StochasticRoundingState)
        treedef: Any
        wide = jax.tree.map(_widened, (updates, params))
        steps, inner_state = inner.update(wide[0], inner_state, wide[1], **extra_args)
        leaves, treedef = jax.tree.flatten(steps, is_leaf=is_none)
        theta = leaves_like(treedef, leaves, params, "updates", "the parameters")
        rng_key, step_key = jax.random.split(jax.random.wrap_key_data(rng_key, impl=implementation))
        keys = jax.random.split(step_key, len(leaves))
        rounded = [_rounded(u, p, k) for u, p, k in zip(leaves, theta, keys, strict=True)]
        new_state = StochasticRoundingState(jax.random.key_data(rng_key), inner_state)
        return treedef.unflatten(rounded), new_state

    return optax.GradientTransformationExtraArgs(init_fn, standard_promotion(update_fn))


def _has_16_bits(x: Any) -> bool:
    return jnp.result_type(x) in (jnp.bfloat16, jnp.float16)


def _widened(x: Any) -> Any:
    return jnp.asarray(x, jnp.float32) if _has_16_bits(x) else x


def _rounded(update: jax.Array | None, theta: jax.Array, key: jax.Array) -> jax.Array | None:
    """Return the update, in θ's dtype, that moves θ to the rounded sum."""
    if update is None or not _has_16_bits(theta):
        return update
    start, update = theta.astype(jnp.float32), update.astype(jnp.float32)
    total = start + update
    # The rounding error of that float32 sum (Knuth's two-sum). It is far below θ, but may be all
    # of a small step.
    rounded_update = total - start
    lost = (start - (total - rounded_update)) + (update - rounded_update)
    nearest = total.astype(theta.dtype)
    near = nearest.astype(jnp.float32)
    remainder = (total - near) + lost
    towards = jnp.where(remainder > 0, jnp.inf, -jnp.inf).astype(theta.dtype)
    far = jnp.nextafter(nearest, towards).astype(jnp.float32)
    chance = remainder / (far - near)
    # 32 bits, where `jax.random.uniform` has 23, so that small chances are kept too.
    draw = (jax.random.bits(key, total.shape, jnp.uint32).astype(jnp.float32) + 0.5) * 2.0**-32
    # Written so that a NaN chance, which comes from a value that is not finite, gives the nearest.
    target = jnp.where(draw < chance, far, near)
    # The difference sometimes has a digit too many. Then one of its neighbours is the update.
    difference = (target - start).astype(theta.dtype)
    for end in (jnp.inf, -jnp.inf):
        other = jnp.nextafter(difference, jnp.asarray(end, theta.dtype))
        better = (_landing(start, difference) != target) & (_landing(start, other) == target)
        difference = jnp.where(better, other, difference)
    return difference


def _landing(start: jax.Array, difference: jax.Array) -> jax.Array:
    """Return the parameter that `optax.apply_updates` makes, as float32."""
    return (start + difference.astype(jnp.float32)).astype(difference.dtype).astype(jnp.float32)
