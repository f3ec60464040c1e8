"""A step size from the curvature of a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, Array, StepSize, from_loss, join, split


def suggest_lr(
    loss_fn: Callable[[Any], mx.array],
    parameters: Any,
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    """Suggest a step size for INDIAN from the largest curvature of a loss.

    Args:
        loss_fn: A function that returns the loss, a scalar, of a tree of parameters.
        parameters: θ, a tree of arrays.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on.

    Raises:
        TypeError: If a parameter is complex.
        ValueError: If no step size follows from the loss: see `indian_core.tuning.from_loss`.

    Examples:
        >>> import mlx.core as mx
        >>> h = mx.array([1.0, 100.0])
        >>> loss = lambda params: (h * params["theta"] ** 2).sum() / 2
        >>> found = suggest_lr(loss, {"theta": mx.ones(2)}, 0.5, 0.5, safety=0.5)
        >>> round(found.lr, 4)
        0.0206
    """
    names, start = zip(*tree_flatten(parameters), strict=True)
    if any(theta.dtype == mx.complex64 for theta in start):
        raise TypeError("Invalid parameters: one is complex (they must be real)")
    shapes = [theta.shape for theta in start]

    def arrays(vector: Array) -> list[mx.array]:
        parts = split(vector, shapes)
        return [mx.array(part, theta.dtype) for part, theta in zip(parts, start, strict=True)]

    def vector(found: list[mx.array]) -> Array:
        return join(np.array(each, np.float64) for each in found)

    def gradients(*theta: mx.array) -> list[mx.array]:
        tree = tree_unflatten(list(zip(names, theta, strict=True)))
        return [each for _, each in tree_flatten(mx.grad(loss_fn)(tree))]

    def gradient(displacement: Array) -> Array:
        return vector(
            gradients(*(theta + d for theta, d in zip(start, arrays(displacement), strict=True)))
        )

    def product(direction: Array) -> Array:
        # Gradients of ⟨∇J, v⟩, because forward mode lacks scatter, the gradient of indexing.
        _, found = mx.vjp(gradients, list(start), arrays(direction))
        return vector(found)

    return from_loss(
        product, gradient, int(sum(theta.size for theta in start)), alpha, beta, safety
    )
