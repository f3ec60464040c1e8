"""The gradient over its root mean square, on a tree."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import second_moment
from indian_optax.base import Made
from indian_optax.dtypes import working_dtype
from indian_optax.hyperparameters import Scalar
from indian_optax.trees import leaves_like


def init_squares(momentum: optax.Updates) -> optax.Updates:
    """Return V before the first step, in the momentum's dtype, but real and at least float32."""
    return jax.tree.map(
        lambda s: jnp.zeros_like(s, dtype=np.finfo(working_dtype(s.dtype)).dtype), momentum
    )


class ScaledGradients:
    """The directions of one step, and the V that follows from them.

    Args:
        gradients: The gradients' leaves, including None.
        treedef: The structure of their tree.
        nu: The old V.
        count: The number of gradients that the new V holds.
        decay: σ, the decay rate of V.
        eps: ε, outside the root.
        eps_root: What is added to V/(1 − σ^t) inside the root.
    """

    def __init__(
        self,
        gradients: list[Any],
        treedef: Any,
        nu: optax.Updates,
        count: jax.Array,
        decay: Scalar,
        eps: Scalar,
        eps_root: Scalar = 0.0,
    ) -> None:
        self._treedef = treedef
        self._leaves = leaves_like(treedef, gradients, nu, "gradients", "nu")
        # Cached, because most leaves have the same precision.
        self._numbers = functools.cache(functools.partial(_numbers, decay, eps, count))
        self._eps_root = eps_root

    def __call__(self, i: int, v: jax.Array) -> Made:
        """Return what makes the scaled gradient of leaf i, and replace its old V by the new one.

        As `base.Direction` says.
        """
        dtype = np.finfo(v.dtype).dtype
        decay, eps, inverse = self._numbers(dtype)
        old = self._leaves[i]
        size = jnp.abs(v) if jnp.iscomplexobj(v) else v
        nu = second_moment(old.astype(dtype), size, decay)
        self._leaves[i] = nu.astype(old.dtype)

        def made(one: Any) -> jax.Array:
            square = nu * (inverse * one)
            if not isinstance(self._eps_root, float) or self._eps_root:
                square += jnp.asarray(self._eps_root, dtype)
            return v / (jnp.sqrt(square) + eps)

        return made

    @property
    def nu(self) -> optax.Updates:
        """Return V, which is new once each leaf's direction has been made."""
        return self._treedef.unflatten(self._leaves)


def _numbers(decay: Scalar, eps: Scalar, t: jax.Array, dtype: Any) -> tuple[jax.Array, ...]:
    """Return σ, ε and 1/(1 − σ^t) in this precision."""
    decay = jnp.asarray(decay, dtype)
    # From the σ of this precision, and with all digits for a σ near 1. An error here would be an
    # error of the corrected V.
    correction = -jnp.expm1(t.astype(dtype) * jnp.log1p(decay - 1))
    return decay, jnp.asarray(eps, dtype), 1 / correction
