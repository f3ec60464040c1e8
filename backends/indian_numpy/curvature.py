"""A step size from the curvature of a loss, given its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, StepSize, from_gradients
from indian_numpy.base import Array


def suggest_lr(
    gradient: Callable[[list[Array]], Sequence[Array]],
    params: Sequence[Array],
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    """Suggest a step size for INDIAN from the largest curvature of a loss, given its gradient.

    Args:
        gradient: A function that returns ∇J at a list of arrays like `params`.
        params: θ, arrays of floats. They are not changed.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on.

    Raises:
        ValueError: If no step size follows from the loss: see `indian_core.tuning.from_gradients`.

    Examples:
        >>> import numpy as np
        >>> h = np.array([1.0, 100.0])
        >>> found = suggest_lr(lambda p: [h * p[0]], [np.ones(2)], 0.5, 0.5, safety=0.5)
        >>> round(found.lr, 4)
        0.0206
    """
    return from_gradients(gradient, params, alpha, beta, safety)
