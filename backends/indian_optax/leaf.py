"""The step of one leaf: two multiply-adds for θ and two for w, with dtypes by the dtype rule.

θ is written from the old w. It is written from the new w only if θ is not given and 1 − αγ is known
to be large, because XLA on the CPU updates that order in place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from indian_core import Coefficients, NewMomentumCoefficients, from_new_momentum
from indian_optax.dtypes import update_dtype, working_dtype
from indian_optax.in_place import after

Again = Callable[[Any], jax.Array] | None


class Scalars(NamedTuple):
    """The scalars that all leaves of a step share, in one precision.

    Attributes:
        step: The four scalars of the linear step.
        shrinkage: γλ, the fraction of θ that decays, or None.
        kick: The multiple of θ that the decay adds to w. It is None except with the decay of
            INNAprop's authors.
    """

    step: Coefficients | NewMomentumCoefficients
    shrinkage: jax.Array | None = None
    kick: jax.Array | None = None


class LeafStep:
    """The step of any leaf, with hyperparameters that all leaves share.

    Args:
        scalars: A function that returns the `Scalars` of a step that reads the old w. Its arguments
            are the precision and whether this is the first step.
        first: Whether this is the first step.
        count: The step count.
        from_new: Whether θ is to be written from the new w.
    """

    def __init__(
        self,
        scalars: Callable[[Any, bool], Scalars],
        first: jax.Array,
        count: jax.Array,
        *,
        from_new: bool,
    ) -> None:
        self._given = scalars
        self._first = first
        self._count = count
        self._from_new = from_new
        # Cached, because most leaves have the same precision.
        self._scalars = functools.cache(self._make_scalars)

    def __call__(
        self,
        v: jax.Array,
        direction: jax.Array,
        w: Any,
        theta: Any,
        decayed: bool,
        again: Again = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Return θ's update and the new w.

        Args:
            v: The gradient. The update has the wider of its dtype and the parameter's.
            direction: What replaces the gradient in the step, in the step's dtype.
            w: The momentum.
            theta: The parameter, or None if it is not known.
            decayed: Whether the parameter decays.
            again: A function that makes the direction a second time, from the new θ, or None.
        """
        theta_dtype = w.dtype if theta is None else theta.dtype
        wide = direction.dtype
        step, shrinkage, kick = self._scalars(np.finfo(wide).dtype)
        w_wide = w.astype(wide)
        if decayed and kick is not None:
            w_wide += kick * theta.astype(wide)

        def moved(decay: Any, direction: jax.Array) -> Any:
            return decay * w_wide + step.momentum_gradient * direction

        read = moved(step.momentum_momentum, direction) if self._from_new else w_wide
        update = step.theta_momentum * read + step.theta_gradient * direction
        if decayed:
            update -= shrinkage * theta.astype(wide)
        update = update.astype(update_dtype(v.dtype, theta_dtype))
        if self._from_new:
            return update, read.astype(w.dtype)
        # (`optax.apply_updates` makes the same sum, and XLA merges the two.)
        moved_theta = None if theta is None else theta + update
        decay = after(step.momentum_momentum, moved_theta, self._count)
        if again is not None:
            direction = again(moved_theta)
        return update, moved(decay, direction).astype(w.dtype)

    def _make_scalars(self, dtype: Any) -> Scalars:
        """Return the `Scalars` of this step."""

        # The scalars of a first and of a later step are both computed, so that those known as
        # floats now are computed in double precision and rounded once.
        def scalars(first: bool) -> Scalars:
            given = self._given(dtype, first)
            if self._from_new and isinstance(given.step, Coefficients):
                return given._replace(step=from_new_momentum(given.step))
            return given

        def select(x: Any, y: Any) -> jax.Array:
            return jnp.where(self._first, jnp.asarray(x, dtype), jnp.asarray(y, dtype))

        selected: Scalars = jax.tree.map(select, scalars(first=True), scalars(first=False))
        return selected


def working_arrays(v: Any, w: Any, theta: Any) -> tuple[jax.Array, Any, np.dtype[Any]]:
    """Return a gradient and its parameter as arrays, and the dtype for computing the step.

    Raises:
        ValueError: If the gradient is complex and the momentum is not.
    """
    v, theta = jnp.asarray(v), None if theta is None else jnp.asarray(theta)
    if jnp.iscomplexobj(v) and not jnp.iscomplexobj(w):
        raise ValueError(f"Invalid gradients: {v.dtype} (the momentum is {w.dtype})")
    return v, theta, working_dtype(v.dtype, w.dtype, w.dtype if theta is None else theta.dtype)
