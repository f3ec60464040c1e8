"""Reading and setting ψ, the paper's auxiliary variable, of an optimizer state."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core import momentum_from_psi, psi_from_momentum
from indian_optax.dtypes import standard_promotion, working_dtype
from indian_optax.hyperparameters import cast
from indian_optax.paper_law import IndianState
from indian_optax.states import indian_states
from indian_optax.trees import at_momentum, by_path


@standard_promotion
def psi(state: optax.OptState, params: optax.Params) -> optax.Params:
    r"""Compute the paper's auxiliary variable of every parameter.

    $$\psi = (1 - \alpha\beta)\,\theta + \beta w$$

    Args:
        state: The state of `indian` or `innaprop`, or one that holds it: the state of a chain, of
            a wrapper, or of `optax.partition` with several of them.
        params: $\theta$, the parameters that belong to the state.

    Returns:
        $\psi$, a tree like ``params``, in the momentum's precision. A parameter without a
        momentum (a masked one, or one of another optimizer) has an `optax.MaskedNode` there.
        Before the first step $\psi$ is $(1 - \alpha\beta)\,\theta_0$, because the initial velocity
        is not known before the first gradient.

    Raises:
        ValueError: If the state holds no `IndianState` or belongs to other parameters, or if a
            wrapper runs the optimizer on parameters of its own.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax import indian, psi
        >>> solver = indian(0.5, alpha=0.5, beta=1.0)
        >>> params = jnp.array([1., 2.])
        >>> print(psi(solver.init(params), params))
        [0.5 1. ]

    Source: Castera et al, [An Inertial Newton Algorithm for Deep
    Learning](https://jmlr.org/papers/v22/19-1024.html), 2021, equation (11).
    """
    psis: dict[Any, Any] = {}
    for each in indian_states(state):
        theta = at_momentum(each.momentum, params, "params")
        for path, w in by_path(each.momentum).items():
            alpha, beta, p = _in_precision(w, each, theta[path])
            psis[path] = psi_from_momentum(p, w.astype(p.dtype), alpha, beta)
    return jax.tree_util.tree_map_with_path(
        lambda path, _: psis.get(path, optax.MaskedNode()), params
    )


@standard_promotion
def with_psi(
    state: optax.OptState,
    params: optax.Params,
    psi: optax.Params,
) -> optax.OptState:
    r"""Return the state that has a given auxiliary variable, to continue a run from it.

    $$w = (\psi - (1 - \alpha\beta)\,\theta)/\beta$$

    The next step is then an ordinary step. If $\psi$ is given before the first step, it is
    the initial $\psi_0$, and ``initial_speed`` has no effect. $\alpha$ and $\beta$ are those
    of the state's last step or, before the first step, of the optimizer that created the state.

    Args:
        state: The state of `indian` or `innaprop`, or one that holds it. It is not changed.
        params: $\theta$, the parameters that belong to the state.
        psi: $\psi$, a tree like ``params``. It may have `optax.MaskedNode` for a parameter
            without a momentum.

    Returns:
        A new state.

    Raises:
        ValueError: If the state holds no `IndianState`, or ``params`` or ``psi`` lack one of its
            parameters, or have another shape or complex numbers there.

    Examples:
        >>> import jax.numpy as jnp
        >>> from indian_optax import indian, psi, with_psi
        >>> solver = indian(0.5, alpha=0.5, beta=1.0)
        >>> params = jnp.array([1., 2.])
        >>> state = with_psi(solver.init(params), params, jnp.array([3., 4.]))
        >>> print(psi(state, params))
        [3. 4.]

    Source: Castera et al, [An Inertial Newton Algorithm for Deep
    Learning](https://jmlr.org/papers/v22/19-1024.html), 2021, equation (11).
    """
    indian_states(state)  # Raises if there is none.

    def replaced(node: Any) -> Any:
        if not isinstance(node, IndianState):
            return node
        theta = at_momentum(node.momentum, params, "params")
        psis = at_momentum(node.momentum, psi, "psi")

        def new_momentum(path: Any, w: jax.Array) -> jax.Array:
            alpha, beta, p = _in_precision(w, node, theta[path])
            y = jnp.asarray(psis[path]).astype(p.dtype)
            new: jax.Array = momentum_from_psi(p, y, alpha, beta)
            return new.astype(w.dtype)

        momentum = jax.tree_util.tree_map_with_path(new_momentum, node.momentum)
        begun = jax.tree.map(jnp.ones_like, node.begun)  # NNX wraps it in a box.
        return node._replace(begun=begun, momentum=momentum)

    return jax.tree.map(replaced, state, is_leaf=lambda node: isinstance(node, IndianState))


def _in_precision(w: jax.Array, state: IndianState, theta: Any) -> tuple[Any, Any, jax.Array]:
    """Return α, β and θ in the momentum's precision, but at least float32."""
    dtype = working_dtype(w.dtype)
    alpha, beta = cast(np.finfo(dtype).dtype, state.alpha, state.beta)
    return alpha, beta, jnp.asarray(theta).astype(dtype)
