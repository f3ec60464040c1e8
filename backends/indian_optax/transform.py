"""`scale_by_indian`: the INDIAN step as a gradient transformation."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    SMALLEST_DECAY,
    Coefficients,
    NewMomentumCoefficients,
    coefficients,
    from_new_momentum,
)
from indian_optax import hyperparameters
from indian_optax.hyperparameters import Scalar, ScalarOrSchedule
from indian_optax.trees import is_none, leaves_like


class IndianState(NamedTuple):
    """State of `scale_by_indian`.

    Attributes:
      count: The number of steps made, an int32 scalar. It is -1 for a state that has made none
        but was given its ψ, by `with_psi`: its next step is not a first one.
      momentum: w, a tree like the parameters.
    """

    count: jax.Array  # type: ignore[assignment]  # as in optax, it hides tuple.count
    momentum: optax.Updates


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
    and what comes out is the step itself, with its sign: ``optax.apply_updates`` adds it.
    Transform gradients before it (clip them, say); scaling its updates makes another method.

    Args:
      learning_rate: :math:`\gamma`, the step size: a scalar, or a schedule of the step count.
      alpha: :math:`\alpha \geq 0`, the viscous damping.
      beta: :math:`\beta > 0`, the Newton damping.
      initial_speed: :math:`s \geq 0`, the initial speed in units of the first gradient.
      accumulator_dtype: Optional ``dtype`` of the momentum. With ``None`` it is the parameter's
        own, but float32 for 16-bit parameters.

    Returns:
      A :class:`optax.GradientTransformation` object. Its state is an :class:`IndianState`, its
      updates have the gradients' dtypes, and it needs no ``params``.

    Raises:
      TypeError: If a hyperparameter is not a number, an array or (``learning_rate``) a schedule,
        or ``accumulator_dtype`` no floating-point dtype. ``update`` raises it if the state is not
        an :class:`IndianState`.
      ValueError: If a number is out of range, or an array is not a scalar. ``update`` raises it if
        the gradients' tree or shapes are not those of the parameters.

    Examples:
      >>> import optax
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from indian_optax import scale_by_indian
      >>> solver = optax.chain(optax.clip(1.0), scale_by_indian(0.5, alpha=0.5, beta=0.5))
      >>> params = jnp.array([1., 2.])
      >>> updates, state = solver.update(jnp.array([0.5, 4.]), solver.init(params))
      >>> print(updates)
      [-0.25 -0.5 ]

    .. note::
      On CPUs XLA updates parameters and momentum in place, without a temporary copy, if it is
      known beforehand that :math:`1 - \alpha\gamma` is not near zero: for numbers, and for
      schedules with an attribute ``max_value``, as :func:`indian_optax.power_decay` has. (One can
      be added to any function: ``schedule.max_value = 0.1``.)
    """
    learning_rate = hyperparameters.as_scalar_or_schedule("learning_rate", learning_rate)
    alpha = hyperparameters.as_scalar("alpha", alpha)
    beta = hyperparameters.as_scalar("beta", beta)
    initial_speed = hyperparameters.as_scalar("initial_speed", initial_speed)
    if accumulator_dtype is not None:
        accumulator_dtype = _floating_dtype("accumulator_dtype", accumulator_dtype)
    from_new = _decay_is_large(learning_rate, alpha)

    def init_fn(params: optax.Params) -> IndianState:
        momentum = jax.tree.map(
            lambda p: jnp.zeros_like(p, dtype=_momentum_dtype(p, accumulator_dtype)), params
        )
        return IndianState(jnp.zeros([], jnp.int32), momentum)

    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        del params
        count, momentum = checked_state(state)
        k = jnp.maximum(count, 0)
        values = (hyperparameters.at_count(learning_rate, k), alpha, beta, initial_speed)
        scalars = functools.cache(functools.partial(_scalars, values, count == 0, from_new))

        def leaf(v: Any, w: Any) -> tuple[Any, Any]:
            if v is None:  # No gradient, as in optax.trace: the parameter rests.
                return None, w
            v = jnp.asarray(v)
            dtype = jnp.promote_types(w.dtype, jnp.float32)
            update, new_w = _step(scalars(np.finfo(dtype).dtype), v.astype(dtype), w.astype(dtype))
            return update.astype(v.dtype), new_w.astype(w.dtype)

        treedef: Any
        gradients, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        old_w = leaves_like(treedef, gradients, momentum, "gradients", "the momentum")
        pairs = [leaf(v, w) for v, w in zip(gradients, old_w, strict=True)]
        return (
            treedef.unflatten(update for update, _ in pairs),
            IndianState(optax.safe_increment(k), treedef.unflatten(w for _, w in pairs)),
        )

    return optax.GradientTransformation(init_fn, update_fn)


def checked_state(state: optax.OptState) -> IndianState:
    """Return the state, or raise TypeError if it is another optimizer's."""
    if not isinstance(state, IndianState):
        raise TypeError(f"The state must be an IndianState, not {type(state).__name__}")
    return state


def _floating_dtype(name: str, dtype: Any) -> Any:
    """Return the dtype as JAX has it, or raise TypeError if it cannot hold a momentum."""
    error = TypeError(f"Invalid {name}: {dtype!r} (it must be a floating-point or complex dtype)")
    try:
        canonical = jax.dtypes.canonicalize_dtype(dtype)
    except TypeError:
        raise error from None
    if not jnp.issubdtype(canonical, jnp.inexact):
        raise error
    return canonical


def _momentum_dtype(param: Any, dtype: Any | None) -> Any:
    """Return the dtype asked for, or θ's but at least float32; complex where θ is."""
    theta_dtype = jnp.result_type(param)
    if dtype is None:
        return jnp.promote_types(theta_dtype, jnp.float32)
    if jnp.issubdtype(theta_dtype, jnp.complexfloating):
        return jnp.promote_types(dtype, jnp.complex64)
    return dtype


def _decay_is_large(learning_rate: ScalarOrSchedule, alpha: Scalar) -> bool:
    """Return whether |1 − αγ| is known to allow θ to be written from the new w at every step.

    Nothing can be decided on the device: where both readings are in the program, or a
    `jax.lax.cond`, XLA on CPUs makes the copies that the new reading is there to avoid.
    """
    if not isinstance(alpha, float):
        return False
    if isinstance(learning_rate, float):
        return abs(1 - alpha * learning_rate) >= SMALLEST_DECAY
    max_value = getattr(learning_rate, "max_value", None)
    return max_value is not None and bool(1 - alpha * max_value >= SMALLEST_DECAY)


def _scalars(
    values: tuple[Scalar, ...], first: jax.Array, from_new: bool, dtype: Any
) -> Coefficients | NewMomentumCoefficients:
    """Return the step's four scalars in the leaf's precision."""
    # A first step's and a later one's are both made, so that what is a float now is worked out in
    # double precision and rounded once.
    lr, alpha, beta, initial_speed = hyperparameters.cast(dtype, *values)

    def scalars(first: bool) -> Coefficients | NewMomentumCoefficients:
        step = coefficients(lr, alpha, beta, initial_speed, first)
        return from_new_momentum(step) if from_new else step

    def select(x: Scalar, y: Scalar) -> jax.Array:
        return jnp.where(first, jnp.asarray(x, dtype), jnp.asarray(y, dtype))

    start = scalars(first=True)
    return type(start)(*map(select, start, scalars(first=False)))


def _step(
    scalars: Coefficients | NewMomentumCoefficients, v: jax.Array, w: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return θ's update and the new w."""
    new_w = scalars.momentum_momentum * w + scalars.momentum_gradient * v
    read = new_w if isinstance(scalars, NewMomentumCoefficients) else w
    return scalars.theta_momentum * read + scalars.theta_gradient * v, new_w
