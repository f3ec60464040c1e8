r"""A learning rate from the curvature of a loss in JAX.

The curvature comes from gradients at some points near the parameters. So every operation that has
a gradient will do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import SAFETY, StepSize, from_gradients
from indian_optax.trees import placed_like


def suggest_lr(
    loss_fn: Callable[[optax.Params], jax.Array],
    params: optax.Params,
    alpha: float = ALPHA,
    beta: float = BETA,
    safety: float = SAFETY,
) -> StepSize:
    r"""Suggest a learning rate for INDIAN from the largest curvature of a loss, without a search.

    $$\gamma = \text{safety} \cdot \min(2/\alpha, \gamma_{\max}(L)), \qquad
      L = \lambda_{\max}(\nabla^2 J(\theta))$$

    with $\gamma_{\max}$ from ``indian_core.tuning.max_lr``. Use the loss that you train, over as
    many samples as fit in memory. Train with the same α and β; 0.5 and 0.5 worked best
    (docs/suggest.md has what to expect). The suggestion is not for `innaprop`, whose gradient is
    scaled.

    Products with the Hessian are differences of gradients, so second derivatives are not needed.
    The cost is some dozens of gradients, and ``indian_core.tuning.LANCZOS_VECTORS`` vectors of the
    parameters' size in double precision on the host.

    Args:
        loss_fn: A function of only the parameters that returns a scalar. It is jitted. If it has
            an auxiliary output, drop that output: ``lambda p: loss(p, batch)[0]``.
        params: $\theta$, any tree of floating-point arrays.
        alpha: $\alpha \geq 0$, the viscous damping of the run.
        beta: $\beta > 0$, the Newton damping of the run.
        safety: The fraction of the stability limit to suggest.

    Returns:
        The suggestion, with the curvature and the limit that it is based on; ``print`` it. If the
        loss is nearly flat, or not smooth on the scale of a step, it holds warnings, which are also
        issued as ``UserWarning``.

    Raises:
        TypeError: If the loss is not an array, or a parameter is not a floating-point array.
        ValueError: If there are no parameters, if the loss is not a real scalar or has a gradient
            that is not finite, or if nothing limits the step ($\alpha = 0$ and no positive
            curvature).
        ImportError: If SciPy is missing.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax.curvature import suggest_lr
        >>> curvature = jnp.array([1., 10., 100.])
        >>> loss = lambda theta: jnp.sum(curvature * theta**2) / 2
        >>> found = suggest_lr(loss, jnp.ones(3), alpha=0.5, beta=0.5, safety=0.5)
        >>> print(round(found.curvature, 2), round(found.lr, 4), found.initial_speed)
        100.0 0.0206 0.5
    """
    treedef: Any
    leaves, treedef = jax.tree.flatten(jax.tree.map(_checked, params))

    def loss(theta: list[jax.Array]) -> jax.Array:
        value = loss_fn(treedef.unflatten(theta))
        if not isinstance(value, jax.Array):
            raise TypeError(f"Invalid loss: {type(value).__name__} (loss_fn must return an array)")
        is_real = jnp.issubdtype(value.dtype, jnp.floating)
        check_loss(value.shape, value.dtype, is_real=is_real)
        return value.reshape(())

    of_loss = jax.jit(jax.grad(loss))

    def gradient(theta: list[Any]) -> list[Any]:
        # JAX's gradient is ∂J/∂Re − i ∂J/∂Im, so its conjugate is the direction in which J rises.
        return [np.conj(g) for g in of_loss(list(map(placed_like, theta, leaves)))]

    finfo: Any = jnp.finfo  # which knows bfloat16
    eps = max((float(finfo(leaf.dtype).eps) for leaf in leaves), default=1.0)
    start = list(map(np.asarray, leaves))
    return from_gradients(gradient, start, alpha, beta, safety, eps)


def _checked(leaf: Any) -> jax.Array:
    try:
        array = jnp.asarray(leaf)
    except TypeError as error:
        raise TypeError(f"Invalid params: {leaf!r} (they must be arrays)") from error
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        raise TypeError(f"Invalid params: one is of {array.dtype} (they must be of floats)")
    return array
