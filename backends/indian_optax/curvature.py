r"""The curvature of a loss in JAX, and the step size that follows from it.

A product $\nabla^2 J(\theta)\,v$ is the forward derivative of the gradient along v.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import ALPHA, BETA
from indian_core.arrays import check_loss
from indian_core.tuning import (
    SAFETY,
    Array,
    StepSize,
    from_loss,
    join,
    largest_eigenvalue,
    split,
)

LossFn = Callable[[optax.Params], jax.Array]


def largest_curvature(loss_fn: LossFn, params: optax.Params) -> float:
    r"""Compute the largest eigenvalue of the Hessian of a loss.

    See `suggest_lr` for the arguments and the errors.

    Args:
        loss_fn: A function of the parameters alone that returns a scalar.
        params: $\theta$, any tree of floating-point arrays.

    Returns:
        The algebraically largest eigenvalue. It is negative if the loss curves down in all
        directions.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax.curvature import largest_curvature
        >>> curvature = jnp.array([1., 10., -20.])
        >>> loss = lambda theta: jnp.sum(curvature * theta**2) / 2
        >>> print(round(largest_curvature(loss, jnp.ones(3)), 4))
        10.0
    """
    derivatives = _Derivatives(loss_fn, params)
    return largest_eigenvalue(derivatives.product, derivatives.size)


def suggest_lr(
    loss_fn: LossFn,
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

    The cost is about thirty gradients, and ``indian_core.tuning.LANCZOS_VECTORS`` vectors of the
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
        ValueError: If there are no parameters, if the loss is not a real scalar or is NaN or
            infinite, or if nothing limits the step ($\alpha = 0$ and no positive curvature).
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
    derivatives = _Derivatives(loss_fn, params)
    return from_loss(
        derivatives.product, derivatives.gradient, derivatives.size, alpha, beta, safety
    )


class _Derivatives:
    """A loss's gradient near the parameters, and products with its Hessian, on flat vectors."""

    def __init__(self, loss_fn: LossFn, params: optax.Params) -> None:
        leaves, self._treedef = jax.tree.flatten(params)
        self._leaves: list[jax.Array] = [_checked_leaf(leaf) for leaf in leaves]
        self._shapes = [leaf.shape for leaf in self._leaves]
        self._are_complex = [jnp.iscomplexobj(leaf) for leaf in self._leaves]
        self.size = sum(
            leaf.size * (1 + is_complex)
            for leaf, is_complex in zip(self._leaves, self._are_complex, strict=True)
        )
        if self.size == 0:
            raise ValueError("Invalid params: there are none, or all are empty")
        treedef: Any = self._treedef

        def loss(theta: Sequence[jax.Array]) -> jax.Array:
            return loss_fn(treedef.unflatten(theta))

        _check_loss(jax.jit(loss)(self._leaves))
        gradient = jax.grad(lambda theta: loss(theta).reshape(()))
        self._gradient = jax.jit(gradient)
        self._product = jax.jit(lambda theta, v: jax.jvp(gradient, (theta,), (v,))[1])

    def product(self, vector: Array) -> Array:
        return _flat(self._product(self._leaves, self._like(vector)))

    def gradient(self, displacement: Array) -> Array:
        moved = [p + d for p, d in zip(self._leaves, self._like(displacement), strict=True)]
        return _flat(self._gradient(moved))

    def _like(self, vector: Array) -> list[jax.Array]:
        parts = split(vector, self._shapes, self._are_complex)
        return [jnp.asarray(p, leaf.dtype) for p, leaf in zip(parts, self._leaves, strict=True)]


def _checked_leaf(leaf: Any) -> jax.Array:
    try:
        dtype = jnp.result_type(leaf)
    except TypeError as error:
        raise TypeError(f"Invalid params: {leaf!r} (they must be arrays)") from error
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise TypeError(f"Invalid params: one is of {dtype} (they must be floating-point arrays)")
    return jnp.asarray(leaf)


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, jax.Array):
        raise TypeError(f"Invalid loss: {type(loss).__name__} (loss_fn must return an array)")
    check_loss(loss.shape, loss.dtype, is_real=jnp.issubdtype(loss.dtype, jnp.floating))
    if not jnp.isfinite(loss).all():
        raise ValueError(f"Invalid loss: {loss}")


def _flat(gradients: Sequence[jax.Array]) -> Array:
    """Return gradients as one vector.

    JAX's gradient is ∂J/∂Re − i ∂J/∂Im, so its conjugate is the direction in which J rises.
    """
    return join(np.conj(np.asarray(gradient)) for gradient in gradients)
