"""The INDIAN step as a gradient transformation, and its state."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_optax import hyperparameters
from indian_optax.dtypes import checked_dtype, momentum_dtype, standard_promotion
from indian_optax.hyperparameters import Scalar
from indian_optax.leaf import LeafStep, is_decay_large
from indian_optax.trees import is_none, leaves_like, masked_leaves


class IndianState(NamedTuple):
    """State of `scale_by_indian`.

    Attributes:
      count: The number of steps made, an int32 scalar: where schedules are. It may be set.
      begun: Whether there was a first step, or a ψ was given: a boolean scalar. The initial speed
        has a part in the first step alone. A step with a learning rate of 0 is no first one.
      alpha: α of the last step, a scalar: `psi` and `energy` need it.
      beta: β of the last step, likewise.
      momentum: w, a tree like the parameters.
    """

    count: jax.Array  # type: ignore[assignment]  # as in optax, it hides tuple.count
    begun: jax.Array
    alpha: jax.Array
    beta: jax.Array
    momentum: optax.Updates


def transformation(
    learning_rate: Any,
    alpha: Any,
    beta: Any,
    initial_speed: Any,
    weight_decay: Any = None,
    mask: Any = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformation:
    """Return the step, with decoupled weight decay unless that is None."""
    learning_rate = hyperparameters.as_scalar_or_schedule("learning_rate", learning_rate)
    alpha, beta = hyperparameters.as_scalar("alpha", alpha), hyperparameters.as_scalar("beta", beta)
    if initial_speed is not None:
        initial_speed = hyperparameters.as_scalar("initial_speed", initial_speed)
    if weight_decay is not None:
        weight_decay = hyperparameters.as_scalar_or_schedule("weight_decay", weight_decay)
    if accumulator_dtype is not None:
        accumulator_dtype = checked_dtype("accumulator_dtype", accumulator_dtype)
    decay_is_large = is_decay_large(learning_rate, alpha)

    def init_fn(params: optax.Params) -> IndianState:
        momentum = jax.tree.map(
            lambda p: jnp.zeros_like(p, dtype=momentum_dtype(p, accumulator_dtype)), params
        )
        return IndianState(
            jnp.zeros([], jnp.int32),
            jnp.zeros([], bool),
            _remembered(alpha),
            _remembered(beta),
            momentum,
        )

    @standard_promotion
    def update_fn(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        count, begun, _, _, momentum = checked_state(state)
        lr = hyperparameters.at_count("learning_rate", learning_rate, count)
        strength = hyperparameters.at_count("weight_decay", weight_decay, count)
        # Where γ is 0 nothing begins.
        moving = jnp.not_equal(lr, jnp.zeros_like(lr))
        first = jnp.logical_and(jnp.logical_not(begun), moving)
        values = (lr, alpha, beta, initial_speed, strength)
        # Without θ nothing can be ordered: what is known beforehand may be read in place all the
        # same, from the new w.
        step = LeafStep(values, first, count, from_new=params is None and decay_is_large)

        treedef: Any
        gradients, treedef = jax.tree.flatten(updates, is_leaf=is_none)
        old_w = leaves_like(treedef, gradients, momentum, "gradients", "the momentum")
        theta: list[Any] = [None] * len(gradients)
        decays = [False] * len(gradients)
        if params is not None:
            theta = leaves_like(treedef, gradients, params, "gradients", "the parameters")
        if weight_decay is not None:
            decays = masked_leaves(mask, params, treedef)
        pairs = [step(*leaf) for leaf in zip(gradients, old_w, theta, decays, strict=True)]
        new_state = IndianState(
            optax.safe_increment(count),
            jnp.logical_or(begun, moving),
            _remembered(alpha),
            _remembered(beta),
            treedef.unflatten(w for _, w in pairs),
        )
        return treedef.unflatten(update for update, _ in pairs), new_state

    return optax.GradientTransformation(init_fn, update_fn)


def checked_state(state: optax.OptState) -> IndianState:
    """Return the state.

    Raises:
      TypeError: If it is another optimizer's.
      ValueError: If what has to be a scalar in it is none.
    """
    if not isinstance(state, IndianState):
        raise TypeError(f"The state must be an IndianState, not {type(state).__name__}")
    for name, value in zip(state._fields[:-1], state, strict=False):
        # (Python's own numbers too: `optax.tree.set(state, count=0)`.)
        if not isinstance(value, bool | int | float) and getattr(value, "shape", None) != ():
            raise ValueError(f"Invalid state: its {name} is {value!r} (it must be a scalar)")
    return state


def _remembered(value: Scalar) -> jax.Array:
    """Return a hyperparameter as a state holds it: in the widest float at hand."""
    # A copy: a buffer that stands in a state twice cannot be donated.
    return jnp.array(value, float, copy=True)
