"""ψ in and out: the paper's auxiliary variable of an optimizer state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from indian_core import momentum_from_psi, psi_from_momentum
from indian_optax.hyperparameters import as_scalar
from indian_optax.transform import IndianState


def psi(
    state: optax.OptState,
    params: optax.Params,
    alpha: jax.typing.ArrayLike,
    beta: jax.typing.ArrayLike,
) -> optax.Params:
    """Return ψ."""
    alpha, beta = as_scalar("alpha", alpha), as_scalar("beta", beta)
    (found,) = [s for s in jax.tree.leaves(state, is_leaf=_is_state) if _is_state(s)]
    return jax.tree.map(
        lambda p, w: psi_from_momentum(p.astype(w.dtype), w, alpha, beta), params, found.momentum
    )


def with_psi(
    state: optax.OptState,
    params: optax.Params,
    psi: optax.Params,
    alpha: jax.typing.ArrayLike,
    beta: jax.typing.ArrayLike,
) -> optax.OptState:
    """Return the state with ψ set."""
    alpha, beta = as_scalar("alpha", alpha), as_scalar("beta", beta)

    def replace(state: Any) -> Any:
        if not _is_state(state):
            return state
        momentum = jax.tree.map(
            lambda p, y, w: momentum_from_psi(
                p.astype(w.dtype), jnp.asarray(y, w.dtype), alpha, beta
            ),
            params,
            psi,
            state.momentum,
        )
        return IndianState(jnp.where(state.count == 0, -1, state.count), momentum)

    return jax.tree.map(replace, state, is_leaf=_is_state)


def _is_state(node: Any) -> bool:
    return isinstance(node, IndianState)
