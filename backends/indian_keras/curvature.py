r"""The curvature of a loss in Keras, on every backend, and the step size that follows from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from indian_core import ALPHA, BETA
from indian_core.tuning import SAFETY, StepSize, from_loss, largest_eigenvalue
from indian_keras.derivatives import LossFn, derivatives


def largest_curvature(loss_fn: LossFn, variables: Iterable[Any]) -> float:
    """Return the largest eigenvalue of the Hessian of a loss.

    See `suggest_lr` for the arguments, what is left unchanged, and the errors.

    Returns:
        The algebraically largest eigenvalue. It is negative if the loss curves down in all
        directions.

    Examples:
        >>> import keras
        >>> theta = keras.Variable([1.0, 1.0, 1.0])
        >>> h = keras.ops.array([1.0, 10.0, -20.0])
        >>> round(largest_curvature(lambda: keras.ops.sum(h * theta**2) / 2, [theta]), 4)
        10.0
    """
    variables, size = _trainable(variables)
    return largest_eigenvalue(derivatives(loss_fn, variables).product, size)


def suggest_lr(
    loss_fn: LossFn,
    variables: Iterable[Any],
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    r"""Suggest a learning rate for INDIAN from the largest curvature of a loss, without a search.

    $$\gamma = \text{safety} \cdot \min(2/\alpha, \gamma_{\max}(L)), \qquad
      L = \lambda_{\max}(\nabla^2 J(\theta))$$

    with γ_max from `indian_core.tuning.max_lr`. Use the loss that you train, over as many samples
    as fit in memory. For a compiled model, for example:

        found = suggest_lr(
            lambda: model.compute_loss(x, y, model(x, training=True)),
            model.trainable_variables,
            alpha=0.5,
            beta=0.5,
        )
        model.compile(INDIAN(found.lr, 0.5, 0.5, found.initial_speed), loss=...)

    Train with the same α and β; 0.5 and 0.5 worked best (docs/suggest.md has what to expect). The
    suggestion is not for INNAprop, whose gradient is scaled.

    The cost is about thirty gradients, and `indian_core.tuning.LANCZOS_VECTORS` vectors of θ's size
    in double precision. No variable is changed, including those of metrics, BatchNorm and random
    seeds.

    Args:
        loss_fn: A function without arguments that returns the loss, a scalar tensor, at the
            variables' current values. On the JAX backend it is traced.
        variables: θ, such as ``model.trainable_variables``. Variables that are not trainable are
            left out.
        alpha: α ≥ 0, the viscous damping of the run.
        beta: β > 0, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest, > 0.

    Returns:
        The suggestion, with the curvature and the limit that it is based on; ``print`` it. If the
        loss is nearly flat, or not smooth on the scale of a step, it holds warnings, which are
        also issued as UserWarning.

    Raises:
        TypeError: If the loss is not a tensor, or the variables are not real Keras variables.
        ValueError: If there are no variables, if the loss is not a real scalar or is NaN or
            infinite, or if nothing limits the step (α = 0 and no positive curvature).
        ImportError: If SciPy is missing.
        NotImplementedError: On Keras's NumPy and OpenVINO backends.

    Examples:
        >>> import keras
        >>> from indian_keras.curvature import suggest_lr
        >>> theta = keras.Variable([1.0, 1.0, 1.0])
        >>> h = keras.ops.array([1.0, 10.0, 100.0])
        >>> found = suggest_lr(lambda: keras.ops.sum(h * theta**2) / 2, [theta], 0.5, 0.5, 0.5)
        >>> round(found.curvature, 2), round(found.lr, 4), found.initial_speed
        (100.0, 0.0206, 0.5)
    """
    variables, size = _trainable(variables)
    at = derivatives(loss_fn, variables)
    return from_loss(at.product, at.gradient, size, alpha, beta, safety)


def _trainable(variables: Iterable[Any]) -> tuple[list[Any], int]:
    variables = list(variables)
    for variable in variables:
        if not isinstance(variable, keras.Variable):
            raise TypeError(
                f"Invalid variables: {type(variable).__name__} (they must be Keras variables)"
            )
    variables = [variable for variable in variables if variable.trainable]
    if any("complex" in variable.dtype for variable in variables):
        raise TypeError("Invalid variables: one is complex (they must be real)")
    size = sum(int(np.prod(variable.shape, dtype=int)) for variable in variables)
    if size == 0:
        raise ValueError("Invalid variables: there are none that are trainable, or all are empty")
    return variables, size
