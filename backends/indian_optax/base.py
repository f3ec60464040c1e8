"""The linear step on a tree of parameters, for any law and any direction.

θ is written from the old momentum. Given θ, XLA on the CPU makes the step in place (see
`in_place`). Without θ it copies the momentum.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import Coefficients
from indian_optax.dtypes import checked_dtype, init_momentum, update_dtype, working_dtype
from indian_optax.hyperparameters import Scalar, as_scalar_or_schedule, at_count, cast
from indian_optax.in_place import wait_for
from indian_optax.trees import masked_leaves, rows_of

State = TypeVar("State", bound=tuple[Any, ...])
Mask = Any | Callable[[optax.Params], Any] | None
# A function of the number 1 that makes what replaces a leaf's gradient. Where there is an order, it
# is called a second time, with the 1 of `wait_for`.
Made = Callable[[Any], jax.Array]
# A function that returns a leaf's `Made` and new V, given its gradient in the step's dtype and V.
Direction = Callable[[jax.Array, Any], tuple[Made, Any]]


class Scalars(NamedTuple):
    """The scalars that all leaves of a step share, in one precision.

    Attributes:
        step: The four scalars of the linear step.
        shrinkage: lr λ, the fraction of θ that decays, or None.
        pull: The multiple of θ that the weight decay of INNAprop's authors adds to w, or None.
    """

    step: Coefficients
    shrinkage: Any
    pull: Any = None


class LinearStep:
    """The linear step on a tree, with a decoupled weight decay.

    Args:
        weight_decay: λ, a scalar, a schedule, or None.
        mask: Which parameters are decayed.
        accumulator_dtype: The momentum's dtype, or None.
    """

    def __init__(self, weight_decay: Any, mask: Mask, accumulator_dtype: Any) -> None:
        if weight_decay is not None:
            weight_decay = as_scalar_or_schedule("weight_decay", weight_decay)
        self.weight_decay = weight_decay
        self.mask = mask
        self.accumulator_dtype = checked_dtype("accumulator_dtype", accumulator_dtype)

    def init(self, params: optax.Params) -> optax.Updates:
        """Return the momentum before the first step: zeros."""
        return init_momentum(params, self.accumulator_dtype)

    def shrinkage(self, dtype: Any, learning_rate: Scalar, count: jax.Array) -> Scalar | None:
        """Return lr λ in this precision, or None if there is no weight decay."""
        if self.weight_decay is None:
            return None
        lr, decay = cast(dtype, learning_rate, at_count("weight_decay", self.weight_decay, count))
        return lr * decay

    def update(
        self,
        updates: optax.Updates,
        momentum: optax.Updates,
        params: optax.Params | None,
        scalars: Callable[[Any], Scalars],
        count: jax.Array,
        direction: Direction = lambda v, _: (lambda _: v, None),
        nu: optax.Updates | None = None,
    ) -> tuple[optax.Updates, optax.Updates, optax.Updates]:
        """Return the updates, the new momentum and the new V.

        Args:
            updates: The gradients.
            momentum: The old momentum.
            params: θ, or None.
            scalars: A function that returns the `Scalars` of this step in a precision.
            count: The step count.
            direction: What replaces the gradients.
            nu: The old V, or None if the direction has none.
        """
        rows, treedef = rows_of(updates, params, momentum, nu)
        decays = [False] * len(rows)
        if self.weight_decay is not None:
            decays = masked_leaves(self.mask, params, treedef)
        # Cached, because most leaves have the same precision.
        step = functools.partial(_leaf, functools.cache(scalars), count, direction)
        new = [
            # As in optax.trace, a parameter without a gradient does not move.
            (None, s, squares) if v is None else step(v, theta, s, squares, decayed)
            for (v, theta, s, squares), decayed in zip(rows, decays, strict=True)
        ]
        of_updates, of_momentum, of_nu = (
            treedef.unflatten([row[i] for row in new]) for i in range(3)
        )
        return of_updates, of_momentum, of_nu


def _leaf(
    scalars: Callable[[Any], Scalars],
    count: jax.Array,
    replace: Direction,
    v: Any,
    theta: Any,
    s: Any,
    squares: Any,
    decayed: bool,
) -> tuple[jax.Array, jax.Array, Any]:
    """Return a leaf's update, new momentum and new V.

    The update has the wider dtype of v and θ.
    """
    v, theta = jnp.asarray(v), None if theta is None else jnp.asarray(theta)
    target = s.dtype if theta is None else theta.dtype
    wide = working_dtype(v.dtype, s.dtype, target)
    made, squares = replace(v.astype(wide), squares)
    direction = made(1)
    step, shrinkage, pull = scalars(np.finfo(wide).dtype)
    old = s.astype(wide)
    if decayed and pull is not None:
        old += pull * theta.astype(wide)
    update = step.theta_momentum * old + step.theta_gradient * direction
    if decayed:
        update -= shrinkage * theta.astype(wide)
    update = update.astype(update_dtype(v.dtype, target))
    # `optax.apply_updates` makes the same sum, and XLA merges the two.
    moved = None if theta is None else theta + update
    factor, wait = step.momentum_momentum, wait_for(moved, count, np.finfo(wide).dtype)
    if wait is not None:
        factor, direction = factor * wait, made(wait)
    new = factor * old + step.momentum_gradient * direction
    return update, new.astype(s.dtype), squares


def checked_state(state: optax.OptState, kind: type[State]) -> State:
    """Return the state.

    Raises:
        TypeError: If it is another optimizer's state.
        ValueError: If a field of it that must be a scalar is not.
    """
    if not isinstance(state, kind):
        raise TypeError(f"Invalid state: {type(state).__name__} (it must be {kind.__name__})")
    for name in ("count", "begun", "alpha", "beta", "nu_count"):
        value = getattr(state, name) if name in state._fields else 0  # type: ignore[attr-defined]
        # Python's own numbers are allowed too, for `optax.tree.set(state, count=0)`.
        if not isinstance(value, bool | int | float) and getattr(value, "shape", None) != ():
            raise ValueError(f"Invalid state: its {name} is {value!r} (it must be a scalar)")
    return state
