r"""The step in operations of Keras, which TensorFlow and JAX compile.

XLA on the CPU updates a buffer in place if everything else that reads its old value comes before.
It does not order updates that do not depend on each other, so it would copy every w, which takes
three times as long. So a dependence imposes the order: θ is written from the old w, and then w,
whose decay depends on the new θ. (Writing θ from the new w would impose an order too, but divides
by 1 − αγ, which may be 0.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from indian_core import LARGE, Coefficients, dragged, is_step, second_moment
from indian_keras import _private


class Scalars(NamedTuple):
    """The scalars that the steps on all variables have in common.

    Attributes:
        step: The scalars of the linear step.
        lr: The learning rate.
        correction: 1 − σ^t, or None where gradients are not scaled.
    """

    step: Coefficients
    lr: Any
    correction: Any


def scalars(optimizer: Any, learning_rate: Any) -> Scalars:
    """Return the scalars of an optimizer's next step, as tensors."""
    # (Not ops.cast, which on TensorFlow first converts a callable's float to float32.)
    lr = ops.convert_to_tensor(learning_rate, dtype=optimizer._precision)
    # With γ = 0 nothing moves, so such a step does not count as the first.
    first = ops.logical_and(ops.equal(optimizer.begun, 0), is_step(lr, optimizer.reference_lr))
    step = optimizer._coefficients(lr, ops.cast(first, optimizer._precision))
    # (With a reference learning rate, some of them are floats.)
    step = Coefficients(*(ops.convert_to_tensor(x, dtype=optimizer._precision) for x in step))
    scaled = optimizer.count is not None
    return Scalars(step, lr, optimizer._correction(optimizer.count + 1) if scaled else None)


def update(
    optimizer: Any,
    gradients: Sequence[Any],
    variables: Sequence[Any],
    learning_rate: Any,
    by_keras: Callable[..., None],
) -> None:
    """Make one step on all variables.

    Args:
        optimizer: The optimizer, which is built.
        gradients: v, as tensors.
        variables: θ, as variables of Keras or TensorFlow.
        learning_rate: γ, a scalar.
        by_keras: Keras's own function for the step, on several devices, variable by variable.
    """
    if _distributed():
        by_keras(gradients, variables, learning_rate)
    else:
        of_step = scalars(optimizer, learning_rate)
        made = None
        for gradient, variable in zip(gradients, variables, strict=True):
            made = update_one(optimizer, gradient, variable, of_step, made)
    lr = ops.convert_to_tensor(learning_rate)
    moves = ops.cast(is_step(lr, optimizer.reference_lr), optimizer.begun.dtype)
    optimizer.begun.assign(ops.maximum(optimizer.begun, moves))
    if optimizer.count is not None:
        optimizer.count.assign_add(1)


def _distributed() -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf  # noqa: PLC0415

    return bool(tf.distribute.has_strategy())


def update_one(
    optimizer: Any, gradient: Any, variable: Any, of_step: Scalars, made: Any = None
) -> Any:
    """Make the step on one variable, after `made`, the w of the one before it, and return its w."""
    index = optimizer._get_variable_index(variable)
    momentum = optimizer.momentums[index]
    dtype = keras.backend.standardize_dtype(momentum.dtype)
    step = Coefficients(*(ops.cast(scalar, dtype) for scalar in of_step.step))
    # An Embedding's gradient may be sparse, but a decaying w is not.
    v = ops.cast(_dense(gradient), dtype)
    w = ops.convert_to_tensor(momentum)
    u, again = v, None
    if of_step.correction is not None:
        u, again = _scaled(optimizer, v, optimizer.velocities[index], of_step.correction, made)

    change = step.theta_gradient * u
    if optimizer.weight_decay and _private.decays(optimizer, variable):
        lr, theta = (ops.cast(x, dtype) for x in (of_step.lr, variable))
        decay = optimizer.weight_decay
        change = change - lr * decay * theta
        if optimizer.authors_weight_decay:
            numbers = (optimizer.alpha, optimizer.beta, decay, optimizer.reference_lr)
            w = w + dragged(lr, *numbers) * theta
    change = change + step.theta_momentum * w
    if keras.backend.standardize_dtype(variable.dtype) == dtype:
        optimizer.assign_add(variable, change)
    else:
        # Add in w's precision, and round once.
        theta = ops.cast(variable, dtype) + change
        optimizer.assign(variable, ops.cast(theta, variable.dtype))
    decay = _after(optimizer, variable, step.momentum_momentum)
    if again is not None:
        u = again(variable)
    optimizer.assign(momentum, decay * w + step.momentum_gradient * u)
    return momentum


def _dense(gradient: Any) -> Any:
    if type(gradient).__name__ == "IndexedSlices":
        import tensorflow as tf  # noqa: PLC0415

        return tf.convert_to_tensor(gradient)
    return ops.convert_to_tensor(gradient, sparse=False)


def _scaled(optimizer: Any, v: Any, velocity: Any, correction: Any, made: Any) -> tuple[Any, Any]:
    """Update V, and return u and a function that makes u again after a variable, or None.

    u is expensive to evaluate, so XLA would store the u of every variable. Therefore V waits for
    the variable before this one, whose memory is used again. If u is too large for any cache, it
    is evaluated twice.
    """
    size = ops.abs(v) if "complex" in keras.backend.standardize_dtype(v.dtype) else v
    old = ops.convert_to_tensor(velocity)
    if made is not None:
        old = old * _after(optimizer, made, ops.ones((), velocity.dtype))
    squares = second_moment(old, size, optimizer.sigma)
    optimizer.assign(velocity, squares)
    correction = ops.cast(correction, velocity.dtype)

    def of(correction: Any) -> Any:
        root = ops.sqrt(squares / correction) + optimizer.epsilon
        return v / ops.cast(root, v.dtype)

    small = math.prod(velocity.shape) < LARGE
    again = None if small else lambda theta: of(_after(optimizer, theta, correction))
    return of(correction), again


def _after(optimizer: Any, variable: Any, number: Any) -> Any:
    """Return a number in a form that XLA cannot know before it has the variable's new value.

    This is not done on an accelerator, where XLA makes all updates in one kernel, nor on a mesh,
    where the one entry would have to be sent around.
    """
    if not optimizer._keep_order or 0 in variable.shape:
        return number
    entry = ops.real(ops.convert_to_tensor(variable)[(0,) * len(variable.shape)])
    # This is never true, but XLA cannot know it.
    never = ops.logical_and(ops.not_equal(entry, entry), ops.less(optimizer.begun, -7))
    return ops.where(never, number + 1, number)
