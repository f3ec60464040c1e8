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
from indian_optax.states import check_params, indian_states, is_indian
from indian_optax.trees import leaves_like


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
    treedef: Any
    theta, treedef = jax.tree.flatten(params)
    psis: list[Any] = [optax.MaskedNode()] * len(theta)
    check_params(state)
    for indian_state in indian_states(state, "psi"):
        for i, w in enumerate(leaves_of(indian_state.momentum, params)):
            if not is_masked(w):
                a, b, p = _in_precision(w, indian_state, theta[i])
                psis[i] = psi_from_momentum(p, w.astype(p.dtype), a, b)
    return treedef.unflatten(psis)


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
        TypeError: If $\psi$ is complex where its parameter is not.
        ValueError: If the state holds no `IndianState`,
            or the trees or shapes do not match.

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
    check_params(state)
    indian_states(state, "psi")
    theta, treedef = jax.tree.flatten(params)

    def momentum(indian_state: IndianState) -> optax.Updates:
        old = leaves_of(indian_state.momentum, params)
        # A parameter without a momentum needs no ψ.
        wanted = [None if is_masked(w) else p for w, p in zip(old, theta, strict=True)]
        given = leaves_like(treedef, wanted, psi, "parameters", "psi")
        new = iter(
            _momentum_like(w, p, y, indian_state)
            for w, p, y in zip(old, theta, given, strict=True)
            if not is_masked(w)
        )
        return jax.tree.map(lambda _: next(new), indian_state.momentum)

    def replace(node: Any) -> Any:
        if not is_indian(node):
            return node
        begun = jax.tree.map(jnp.ones_like, node.begun)  # (NNX wraps it in a box.)
        return node._replace(begun=begun, momentum=momentum(node))

    return jax.tree.map(replace, state, is_leaf=is_indian)


def _momentum_like(w: jax.Array, theta: Any, psi: Any, state: IndianState) -> Any:
    psi = jnp.asarray(psi)
    if jnp.iscomplexobj(psi) and not jnp.iscomplexobj(w):
        raise TypeError(f"Invalid psi: {psi.dtype} (the momentum is {w.dtype})")
    alpha, beta, theta = _in_precision(w, state, theta)
    return momentum_from_psi(theta, psi.astype(theta.dtype), alpha, beta).astype(w.dtype)


def _in_precision(w: jax.Array, state: IndianState, theta: Any) -> tuple[Any, Any, jax.Array]:
    """Return α, β and θ in the momentum's precision, but at least float32."""
    dtype = working_dtype(w.dtype)
    alpha, beta = cast(np.finfo(dtype).dtype, state.alpha, state.beta)
    return alpha, beta, jnp.asarray(theta).astype(dtype)


def is_masked(node: Any) -> bool:
    """Return whether this node stands for a missing momentum."""
    # Equinox's filter replaces a leaf that is not an array by None.
    return isinstance(node, optax.MaskedNode) or node is None


def leaves_of(momentum: optax.Updates, params: optax.Params) -> list[Any]:
    """Return the momentum of each leaf of the parameters, or MaskedNode for a leaf without one."""
    treedef: Any
    theta, treedef = jax.tree.flatten(params)
    found = _matched(treedef, momentum, params)
    wanted = [None if is_masked(s) else p for s, p in zip(found, theta, strict=True)]
    leaves_like(treedef, wanted, treedef.unflatten(found), "parameters", "the momentum")
    return found


def _matched(treedef: Any, momentum: optax.Updates, params: optax.Params) -> list[Any]:
    try:
        # If the mask is a prefix, one MaskedNode stands for a subtree of parameters.
        expanded = jax.tree.map(
            lambda w, p: jax.tree.map(lambda _: optax.MaskedNode(), p) if is_masked(w) else w,
            momentum,
            params,
            is_leaf=is_masked,
        )
        return list(treedef.flatten_up_to(expanded))
    except ValueError as error:
        # Flax NNX wraps a parameter and its momentum in different boxes, at the same path.
        if _paths(momentum) == _paths(params):
            return jax.tree.leaves(momentum)
        raise ValueError(
            f"The tree of the parameters, {treedef}, is not that of the state: "
            f"{jax.tree.structure(momentum)}"
        ) from error


def _paths(tree: Any) -> list[str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [jax.tree_util.keystr(path) for path, _ in leaves]
