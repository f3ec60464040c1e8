"""The step of one leaf: two multiply-adds for θ and two for w, in the dtypes of the rule.

θ is written from the old w. Only where nothing is known of θ, and 1 − αγ is known to be large, it
is written from the new w: XLA on the CPU updates that order in place.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from indian_core import (
    SMALLEST_DECAY,
    Coefficients,
    NewMomentumCoefficients,
    coefficients,
    from_new_momentum,
)
from indian_optax import hyperparameters
from indian_optax.dtypes import update_dtype, working_dtype
from indian_optax.hyperparameters import Scalar, ScalarOrSchedule
from indian_optax.in_place import after


def is_decay_large(learning_rate: ScalarOrSchedule, alpha: Scalar) -> bool:
    """Return whether |1 − αγ| is known to allow θ to be written from the new w at every step."""
    if not isinstance(alpha, float) or not isinstance(learning_rate, float):
        return False
    return abs(1 - alpha * learning_rate) >= SMALLEST_DECAY


class LeafStep:
    """The step of any leaf, at hyperparameters that all leaves share.

    Args:
      values: γ, α, β, s (or None) and λ (or None).
      first: Whether the step is a first one.
      count: The step count.
      from_new: Whether θ is to be written from the new w.
    """

    def __init__(
        self, values: tuple[Scalar, ...], first: jax.Array, count: jax.Array, *, from_new: bool
    ) -> None:
        self._values = values
        self._first = first
        self._count = count
        self._from_new = from_new
        # Most leaves share their precision.
        self._scalars = functools.cache(self._make_scalars)

    def __call__(self, v: Any, w: Any, theta: Any, decayed: bool) -> tuple[Any, Any]:
        """Return θ's update, None without a gradient, and the new w.

        Args:
          v: The gradient, or None.
          w: The momentum.
          theta: The parameter, or None if it is not known.
          decayed: Whether the parameter decays.

        Raises:
          ValueError: If the gradient is complex and the momentum is not.
        """
        if v is None:  # As in optax.trace: the parameter rests.
            return None, w
        v, theta = jnp.asarray(v), None if theta is None else jnp.asarray(theta)
        if jnp.iscomplexobj(v) and not jnp.iscomplexobj(w):
            raise ValueError(f"Invalid gradients: {v.dtype} (the momentum is {w.dtype})")
        theta_dtype = w.dtype if theta is None else theta.dtype
        wide = working_dtype(v.dtype, w.dtype, theta_dtype)
        step, shrinkage = self._scalars(np.finfo(wide).dtype)
        v_wide, w_wide = v.astype(wide), w.astype(wide)

        def moved(decay: Any) -> Any:
            return decay * w_wide + step.momentum_gradient * v_wide

        read = moved(step.momentum_momentum) if self._from_new else w_wide
        update = step.theta_momentum * read + step.theta_gradient * v_wide
        if decayed:
            update -= shrinkage * theta.astype(wide)
        update = update.astype(update_dtype(v.dtype, theta_dtype))
        if self._from_new:
            return update, read.astype(w.dtype)
        decay = after(step.momentum_momentum, theta, update, self._count)
        return update, moved(decay).astype(w.dtype)

    def _make_scalars(
        self, dtype: Any
    ) -> tuple[Coefficients | NewMomentumCoefficients, jax.Array | None]:
        """Return the step's four scalars, and γλ, in the leaf's precision."""
        # A first step's and a later one's are both made, so that what is a float now is worked out
        # in double precision and rounded once.
        lr, alpha, beta, initial_speed, strength = hyperparameters.cast(dtype, *self._values)

        def scalars(first: bool) -> Coefficients | NewMomentumCoefficients:
            step = coefficients(lr, alpha, beta, initial_speed, first)
            return from_new_momentum(step) if self._from_new else step

        def select(x: Scalar, y: Scalar) -> jax.Array:
            return jnp.where(self._first, jnp.asarray(x, dtype), jnp.asarray(y, dtype))

        start = scalars(first=True)
        shrinkage = None if strength is None else jnp.asarray(lr * strength, dtype)
        return type(start)(*map(select, start, scalars(first=False))), shrinkage
