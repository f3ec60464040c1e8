"""A step size from the curvature of a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import SAFETY, StepSize, from_gradients


def suggest_lr(
    loss_fn: Callable[[Any], mx.array],
    parameters: Any,
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    """Suggest a step size for INDIAN from the largest curvature of a loss.

    Products with the Hessian are differences of gradients.

    Args:
        loss_fn: A function that returns the loss, a scalar, of a tree of parameters.
        parameters: θ, a tree of arrays.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on.

    Raises:
        TypeError: If a parameter is not an array of real floating-point numbers.
        ValueError: If there are no parameters, if the loss is not a real scalar, or if no step size
            follows from it: see `indian_core.tuning.from_gradients`.

    Examples:
        >>> import mlx.core as mx
        >>> h = mx.array([1.0, 100.0])
        >>> loss = lambda params: (h * params["theta"] ** 2).sum() / 2
        >>> found = suggest_lr(loss, {"theta": mx.ones(2)}, 0.5, 0.5, safety=0.5)
        >>> round(found.lr, 4)
        0.0206
    """
    named: Any = tree_flatten(parameters)
    names, start = [name for name, _ in named], [theta for _, theta in named]
    if not start:
        raise ValueError("Invalid parameters: there are none")
    for name, theta in named:
        if not mx.issubdtype(theta.dtype, mx.floating):
            raise TypeError(f"Invalid parameters: {name} is {theta.dtype} (they must be real)")

    def loss(tree: Any) -> mx.array:
        value = loss_fn(tree)
        check_loss(value.shape, value.dtype, is_real=mx.issubdtype(value.dtype, mx.floating))
        return value.reshape(())

    of_loss = mx.grad(loss)

    def gradient(theta: list[Any]) -> list[Any]:
        arrays = [mx.array(t, old.dtype) for t, old in zip(theta, start, strict=True)]
        tree = tree_unflatten(list(zip(names, arrays, strict=True)))
        flat: Any = tree_flatten(of_loss(tree))
        return [_array(each) for _, each in flat]

    eps = max(float(mx.finfo(theta.dtype).eps) for theta in start)
    return from_gradients(gradient, list(map(_array, start)), alpha, beta, safety, eps)


def _array(array: mx.array) -> Any:
    """Return an array in double precision."""
    return np.array(array.astype(mx.float64, mx.cpu))
