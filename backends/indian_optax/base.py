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
from indian_optax.dtypes import checked_dtype, momentum_dtype, update_dtype, working_dtype
from indian_optax.hyperparameters import Scalar, as_scalar_or_schedule, at_count, cast
from indian_optax.in_place import wait_for
from indian_optax.trees import is_none, leaves_like, masked_leaves

State = TypeVar("State", bound=tuple[Any, ...])
Mask = Any | Callable[[optax.Params], Any] | None
# A function of the number 1 that makes what replaces a leaf's gradient. Where there is an order, it
# is called a second time, with the 1 of `wait_for`.
Made = Callable[[Any], jax.Array]
# A function that returns the `Made` of leaf i, given i and the gradient in the step's dtype.
Direction = Callable[[int, jax.Array], Made] | None


class Scalars(NamedTuple):
    """The scalars that all leaves of a step share, in one precision.

    Attributes:
        step: The four scalars of the linear step.
        shrinkage: lr λ, the fraction of θ that decays, or None.
        pull: The multiple of θ that the weight decay of INNAprop's authors adds to w, or None.
    """

    step: Coefficients
    shrinkage: Any = None
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
        if accumulator_dtype is not None:
            accumulator_dtype = checked_dtype("accumulator_dtype", accumulator_dtype)
        self.weight_decay = weight_decay
        self.mask = mask
        self.accumulator_dtype = accumulator_dtype

    def init(self, params: optax.Params) -> optax.Updates:
        """Return the momentum before the first step: zeros."""
        return jax.tree.map(
            lambda p: jnp.zeros_like(p, dtype=momentum_dtype(p, self.accumulator_dtype)), params
        )

    def shrinkage(self, dtype: Any, learning_rate: Scalar, count: jax.Array) -> Scalar | None:
        """Return lr λ in this precision, or None if there is no weight decay."""
        if self.weight_decay is None:
            return None
        lr, decay = cast(dtype, learning_rate, at_count("weight_decay", self.weight_decay, count))
        return lr * decay

    def update(
        self,
        gradients: list[Any],
        treedef: Any,
        momentum: optax.Updates,
        params: optax.Params | None,
        scalars: Callable[[Any], Scalars],
        count: jax.Array,
        direction: Direction = None,
    ) -> tuple[optax.Updates, optax.Updates]:
        """Return the updates and the new momentum.

        Args:
            gradients: The gradients' leaves, including None.
            treedef: The structure of their tree.
            momentum: The old momentum.
            params: θ, or None.
            scalars: A function that returns the `Scalars` of this step in a precision.
            count: The step count.
            direction: What replaces the gradients. None means the gradients themselves.
        """
        old = leaves_like(treedef, gradients, momentum, "gradients", "the momentum")
        theta: list[Any] = [None] * len(gradients)
        decays = [False] * len(gradients)
        if params is not None:
            theta = leaves_like(treedef, gradients, params, "gradients", "the parameters")
        if self.weight_decay is not None:
            decays = masked_leaves(self.mask, params, treedef)
        # Cached, because most leaves have the same precision.
        step = functools.partial(_leaf, functools.cache(scalars), count)
        updates: list[Any] = []
        new: list[Any] = []
        for i, (v, s, p, decayed) in enumerate(zip(gradients, old, theta, decays, strict=True)):
            if v is None:  # As in optax.trace, the parameter does not move.
                updates.append(None)
                new.append(s)
                continue
            v, p, wide = _working_arrays(v, s, p)
            made = _itself(v.astype(wide)) if direction is None else direction(i, v.astype(wide))
            update, new_s = step(v, made, s, p, decayed)
            updates.append(update)
            new.append(new_s)
        return treedef.unflatten(updates), treedef.unflatten(new)


def _leaf(
    scalars: Callable[[Any], Scalars],
    count: jax.Array,
    v: jax.Array,
    made: Made,
    s: Any,
    theta: Any,
    decayed: bool,
) -> tuple[jax.Array, jax.Array]:
    """Return a leaf's update and new momentum. The update has the wider dtype of v and θ."""
    direction = made(1)
    wide = direction.dtype
    step, shrinkage, pull = scalars(np.finfo(wide).dtype)
    old = s.astype(wide)
    if decayed and pull is not None:
        old += pull * theta.astype(wide)
    update = step.theta_momentum * old + step.theta_gradient * direction
    if decayed:
        update -= shrinkage * theta.astype(wide)
    update = update.astype(update_dtype(v.dtype, s.dtype if theta is None else theta.dtype))
    # `optax.apply_updates` makes the same sum, and XLA merges the two.
    moved = None if theta is None else theta + update
    factor, wait = step.momentum_momentum, wait_for(moved, count, np.finfo(wide).dtype)
    if wait is not None:
        factor, direction = factor * wait, made(wait)
    return update, (factor * old + step.momentum_gradient * direction).astype(s.dtype)


def _itself(v: jax.Array) -> Made:
    return lambda _: v


def _working_arrays(v: Any, s: Any, theta: Any) -> tuple[jax.Array, Any, np.dtype[Any]]:
    """Return a gradient and its parameter as arrays, and the dtype for computing the step.

    Raises:
        ValueError: If the gradient is complex and the momentum is not.
    """
    v, theta = jnp.asarray(v), None if theta is None else jnp.asarray(theta)
    if jnp.iscomplexobj(v) and not jnp.iscomplexobj(s):
        raise ValueError(f"Invalid gradients: {v.dtype} (the momentum is {s.dtype})")
    return v, theta, working_dtype(v.dtype, s.dtype, s.dtype if theta is None else theta.dtype)


def flattened(updates: optax.Updates) -> tuple[list[Any], Any]:
    """Return the gradients' leaves, including None, and the structure of their tree."""
    leaves, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    return leaves, treedef


def checked_state(state: optax.OptState, kind: type[State]) -> State:
    """Return the state.

    Raises:
        TypeError: If it is another optimizer's state.
        ValueError: If a field of it that must be a scalar is not.
    """
    if not isinstance(state, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"The state must be {article} {kind.__name__}, not {type(state).__name__}")
    for name in ("count", "begun", "alpha", "beta", "nu_count"):
        value = getattr(state, name) if name in state._fields else 0  # type: ignore[attr-defined]
        # Python's own numbers are allowed too, for `optax.tree.set(state, count=0)`.
        if not isinstance(value, bool | int | float) and getattr(value, "shape", None) != ():
            raise ValueError(f"Invalid state: its {name} is {value!r} (it must be a scalar)")
    return state
