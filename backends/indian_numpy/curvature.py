"""A step size from the curvature of a loss, given its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, StepSize, central_difference, from_loss, join, split
from indian_numpy.base import Array


def suggest_lr(
    gradient: Callable[[list[Array]], Sequence[Array]],
    params: Sequence[Array],
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    """Suggest a step size for INDIAN from the largest curvature of a loss, given its gradient.

    NumPy has no second derivatives, so the Hessian times a vector is a central difference of
    gradients.

    Args:
        gradient: A function that returns ∇J at a list of arrays like `params`.
        params: θ, arrays of floats. They are not changed.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on.

    Raises:
        ValueError: If no step size follows from the loss: see `indian_core.tuning.from_loss`.

    Examples:
        >>> import numpy as np
        >>> h = np.array([1.0, 100.0])
        >>> found = suggest_lr(lambda p: [h * p[0]], [np.ones(2)], 0.5, 0.5, safety=0.5)
        >>> round(found.lr, 4)
        0.0206
    """
    start, shapes = join(params), list(map(np.shape, params))
    are_complex = list(map(np.iscomplexobj, params))

    def at(displacement: Array) -> Array:
        return join(gradient(split(start + displacement, shapes, are_complex)))

    def product(vector: Array) -> Array:
        eps = float(np.finfo(np.float64).eps)
        return central_difference(at, vector, float(np.linalg.norm(start)), eps)

    return from_loss(product, at, start.size, alpha, beta, safety)
