"""`scale_by_indian`: the INDIAN step as a gradient transformation."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    SMALLEST_DECAY,
    Coefficients,
    coefficients,
    from_new_momentum,
)
from indian_optax.hyperparameters import as_scalar, as_scalar_or_schedule, at_count


class IndianState(NamedTuple):
    """State of `scale_by_indian`.

    Attributes:
      count: The number of steps made, an int32 scalar; -1 stands for "none, but ψ was set".
      momentum: w, a tree like the parameters.
    """

    count: jax.Array
    momentum: optax.Updates


class _Reading(NamedTuple):
    """One step as XLA is to compute it: the first line, then the second.

    w_new = momentum_momentum · w + momentum_gradient · v
    update = new_momentum · w_new + old_momentum · w + gradient · v
    """

    momentum_momentum: Any
    momentum_gradient: Any
    new_momentum: Any
    old_momentum: Any
    gradient: Any


def scale_by_indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike = INITIAL_SPEED,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    r"""Rescale updates according to the INDIAN (INNA) algorithm.

    See :func:`indian_optax.indian` for more details.

    The learning rate enters the recursion of the momentum, so it lives inside this transformation,
    and what comes out is the step itself, its sign included: ``optax.apply_updates`` adds it.
    Transform gradients before it (clipping, say); scaling its updates makes another method.

    Args:
      learning_rate: γ, the step size: a scalar, or a schedule of the step count.
      alpha: α ≥ 0, the viscous damping.
      beta: β > 0, the Newton damping.
      initial_speed: s ≥ 0, the initial speed in units of the first gradient.
      accumulator_dtype: Optional ``dtype`` of the momentum. With ``None`` it is the parameter's,
        but float32 for 16-bit parameters.

    Returns:
      A :class:`optax.GradientTransformation` object.

    Raises:
      TypeError: If a hyperparameter is not a number, an array or (the learning rate) a schedule.
      ValueError: If a number is out of range; in ``update``, if a gradient's shape is not its
        parameter's.
    """
    learning_rate = as_scalar_or_schedule("learning_rate", learning_rate)
    alpha = as_scalar("alpha", alpha)
    beta = as_scalar("beta", beta)
    initial_speed = as_scalar("initial_speed", initial_speed)

    def init_fn(params: optax.Params) -> IndianState:
        momentum = jax.tree.map(
            lambda p: jnp.zeros_like(p, dtype=_accumulator_dtype(p, accumulator_dtype)), params
        )
        return IndianState(count=jnp.zeros([], jnp.int32), momentum=momentum)

    def update_fn(
        updates: optax.Updates, state: IndianState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        del params
        k = jnp.maximum(state.count, 0)
        lr = at_count(learning_rate, k)

        def step(path: Any, v: jax.Array | None, w: jax.Array) -> Any:
            if v is None:
                return None, w
            if jnp.shape(v) != jnp.shape(w):
                raise ValueError(
                    f"The gradient{jax.tree_util.keystr(path)} has shape {jnp.shape(v)}, "
                    f"its parameter {jnp.shape(w)}"
                )
            dtype = jnp.promote_types(w.dtype, jnp.float32)
            scalars = _scalars(
                lr, alpha, beta, initial_speed, state.count == 0, jnp.finfo(dtype).dtype
            )
            update, momentum = _step(scalars, v.astype(dtype), w.astype(dtype))
            return update.astype(v.dtype), momentum.astype(w.dtype)

        pairs = jax.tree_util.tree_map_with_path(
            step, updates, state.momentum, is_leaf=lambda v: v is None
        )
        updates, momentum = (
            jax.tree.map(lambda _, pair, i=i: pair[i], updates, pairs, is_leaf=lambda v: v is None)
            for i in range(2)
        )
        return updates, IndianState(count=optax.safe_increment(k), momentum=momentum)

    return optax.GradientTransformation(init_fn, update_fn)


def _accumulator_dtype(param: Any, dtype: Any | None) -> Any:
    """Return the momentum's dtype: what was asked for, else at least float32; complex if θ is."""
    if dtype is None:
        return jnp.promote_types(param.dtype, jnp.float32)
    if jnp.issubdtype(param.dtype, jnp.complexfloating):
        return jnp.promote_types(dtype, jnp.complex64)
    return dtype


def _step(scalars: _Reading, v: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    momentum = scalars.momentum_momentum * w + scalars.momentum_gradient * v
    update = scalars.gradient * v
    if scalars.new_momentum is not None:
        update += scalars.new_momentum * momentum
    if scalars.old_momentum is not None:
        update += scalars.old_momentum * w
    return update, momentum


def _scalars(
    lr: Any, alpha: Any, beta: Any, initial_speed: Any, first: jax.Array, dtype: Any
) -> _Reading:
    """Return the scalars of one step in the leaf's precision."""
    # Arrays are cast before the arithmetic, so that of a float32 hyperparameter of float64 leaves
    # only the hyperparameter itself is rounded; floats are Python's and need no cast.
    values = [
        value if isinstance(value, float) else jnp.asarray(value, dtype)
        for value in (lr, alpha, beta, initial_speed)
    ]
    start, later = (_reading(coefficients(*values, first=f)) for f in (True, False))
    return jax.tree.map(
        lambda x, y: jnp.where(first, jnp.asarray(x, dtype), jnp.asarray(y, dtype)), start, later
    )


def _reading(step: Coefficients) -> _Reading:
    """Return θ from the new w, which XLA fuses without copies, or from the old where it cannot be.

    If the decay 1 − αγ is a number, the choice is made here, else on the device.
    """
    decay = step.momentum_momentum
    small = abs(decay) < SMALLEST_DECAY
    if isinstance(decay, float):
        if small:
            return _Reading(*step[2:], None, step.theta_momentum, step.theta_gradient)
        new = from_new_momentum(step)
        return _Reading(*step[2:], new.theta_momentum, None, new.theta_gradient)
    # Where the decay is small the quotient is not used; 1 in its place keeps its gradient finite.
    new = from_new_momentum(step._replace(momentum_momentum=jnp.where(small, 1, decay)))
    return _Reading(
        *step[2:],
        jnp.where(small, 0, new.theta_momentum),
        jnp.where(small, step.theta_momentum, 0),
        jnp.where(small, step.theta_gradient, new.theta_gradient),
    )
