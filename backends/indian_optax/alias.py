"""`indian`, with weight decay, and `from_sgd`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

import indian_core
from indian_core import ALPHA, BETA, INITIAL_SPEED
from indian_optax.hyperparameters import as_scalar_or_schedule, at_count
from indian_optax.transform import IndianState, scale_by_indian


def indian(
    learning_rate: optax.ScalarOrSchedule,
    alpha: jax.typing.ArrayLike = ALPHA,
    beta: jax.typing.ArrayLike = BETA,
    initial_speed: jax.typing.ArrayLike = INITIAL_SPEED,
    weight_decay: optax.ScalarOrSchedule | None = None,
    mask: Any | Callable[[optax.Params], Any] | None = None,
    *,
    accumulator_dtype: Any | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""The INDIAN optimizer."""
    step = scale_by_indian(
        learning_rate, alpha, beta, initial_speed, accumulator_dtype=accumulator_dtype
    )
    if weight_decay is None:
        return optax.with_extra_args_support(step)
    weight_decay = as_scalar_or_schedule("weight_decay", weight_decay)

    def update_fn(
        updates: optax.Updates, state: IndianState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, IndianState]:
        k = jnp.maximum(state.count, 0)
        rate = at_count(learning_rate, k) * at_count(weight_decay, k)
        updates, state = step.update(updates, state, params)
        updates = _decay(updates, params, rate, mask)
        return updates, state

    return optax.with_extra_args_support(optax.GradientTransformation(step.init, update_fn))


def _decay(updates: optax.Updates, params: optax.Params, rate: Any, mask: Any) -> optax.Updates:
    """Return the updates with −rate · θ added where the mask allows."""
    decay = optax.add_decayed_weights(-rate, mask)
    # Its state is empty, so it need not be kept: the whole state is INDIAN's.
    decayed, _ = decay.update(updates, decay.init(params), params)
    return optax.tree.cast_like(decayed, updates)


inna = indian


def from_sgd(
    learning_rate: float, momentum: float | None = None, nesterov: bool = False, **kwargs: Any
) -> optax.GradientTransformationExtraArgs:
    """Return the INDIAN that is this SGD."""
    start = indian_core.from_sgd(learning_rate, momentum or 0.0, nesterov)
    return indian(*start, **kwargs)
