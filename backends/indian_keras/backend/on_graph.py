r"""The step in operations of Keras, which TensorFlow and JAX compile.

XLA on the CPU updates a buffer in place if everything else that reads its old value comes before.
It does not order updates that do not depend on each other, so it would copy every momentum, which
takes three times as long. So a dependence imposes the order: θ is written from the old momentum,
and then the momentum, whose factor depends on the new θ. (Writing θ from the new momentum would
impose an order too, but divides by that factor, which may be 0.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from indian_core import Coefficients, second_moment
from indian_keras.backend.step import Scaling, Slots, Step, slot_dtype

expm1 = ops.expm1
After = Callable[[Any, Any], Any]
# From this number of elements on, no cache holds u.
_LARGE = 2**22


def scalar(value: Any, dtype: str) -> Any:
    """Return a number as a tensor."""
    # Not ops.cast, which on TensorFlow first converts a float to float32.
    return ops.convert_to_tensor(value, dtype=dtype)


def uncompiled(function: Any) -> Any:
    """Return a function as it is: the graph backends compile the step."""
    return function


def is_distributed() -> bool:
    """Return whether TensorFlow runs on several devices, where Keras makes the step."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf  # noqa: PLC0415

    return bool(tf.distribute.has_strategy())


def update_in_order(
    optimizer: Any, step: Step, gradients: Sequence[Any], slots: Sequence[Slots]
) -> None:
    """Make one step on variables, one after the other.

    Args:
        optimizer: The optimizer, by which variables are assigned to.
        step: The scalars of the step.
        gradients: v, as tensors.
        slots: θ, as variables of Keras or TensorFlow, and the slots of each.
    """
    after = _after(optimizer.iterations)
    before = None
    for gradient, of_variable in zip(gradients, slots, strict=True):
        _update(optimizer, step, gradient, of_variable, after, before)
        before = of_variable.momentum


def _update(
    optimizer: Any, step: Step, gradient: Any, slots: Slots, after: After, before: Any
) -> None:
    """Make the step on one variable, after `before`, the momentum of the variable before it."""
    variable, momentum, velocity, decays = slots
    dtype = slot_dtype(variable.dtype)
    linear = Coefficients(*(scalar(each, dtype) for each in step.linear))
    theta = ops.cast(ops.convert_to_tensor(variable), dtype)
    u, again = ops.cast(gradient, dtype), None
    if step.scaling is not None:
        u, again = _scaled(optimizer, u, velocity, step.scaling, after, before)
    change = linear.theta_gradient * u
    if decays and step.decay is not None:
        change = change - scalar(step.decay, dtype) * theta
    if momentum is not None:
        s = ops.convert_to_tensor(momentum)
        if decays and step.pull is not None:
            s = s + scalar(step.pull, dtype) * theta
        change = change + linear.theta_momentum * s
    # Add in the slots' precision, and round once.
    optimizer.assign(variable, ops.cast(theta + change, variable.dtype))
    if momentum is None:
        return
    factor = after(variable, linear.momentum_momentum)
    if again is not None:
        u = again(variable)
    optimizer.assign(momentum, factor * s + linear.momentum_gradient * u)


def _scaled(
    optimizer: Any, v: Any, velocity: Any, scaling: Scaling, after: After, before: Any
) -> tuple[Any, Any]:
    """Update V, and return u and a function that makes u again after a variable, or None.

    u is expensive to evaluate, so XLA would store the u of every variable. Therefore V waits for
    the variable before this one, whose memory is used again. If u is too large for any cache, it
    is evaluated twice.
    """
    size = ops.abs(v) if "complex" in keras.backend.standardize_dtype(v.dtype) else v
    old = ops.convert_to_tensor(velocity)
    if before is not None:
        old = old * after(before, ops.ones((), velocity.dtype))
    squares = second_moment(old, size, scaling.sigma)
    optimizer.assign(velocity, squares)
    correction = scalar(scaling.correction, keras.backend.standardize_dtype(velocity.dtype))

    def of(correction: Any) -> Any:
        root = ops.sqrt(squares / correction) + scaling.eps
        return v / ops.cast(root, v.dtype)

    small = math.prod(velocity.shape) < _LARGE
    again = None if small else lambda theta: of(after(theta, correction))
    return of(correction), again


def _after(count: Any) -> After:
    """Return a function that makes a number wait, for XLA, for a variable's new value.

    It gives the number itself on an accelerator, where XLA makes all updates in one kernel, and on
    a mesh, where the variable's one entry would have to be sent around.

    Args:
        count: An integer variable that is never negative.
    """
    ordered = (
        keras.backend.backend() in ("jax", "tensorflow")
        and keras.distribution.distribution() is None
        and all(device.startswith("cpu") for device in keras.distribution.list_devices())
    )

    def after(variable: Any, number: Any) -> Any:
        if not ordered or 0 in variable.shape:
            return number
        entry = ops.real(ops.convert_to_tensor(variable)[(0,) * len(variable.shape)])
        # This is never true, but XLA cannot know it.
        never = ops.logical_and(ops.not_equal(entry, entry), ops.less(count, -7))
        return ops.where(never, number + 1, number)

    return after
