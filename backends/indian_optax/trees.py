"""Trees that must match: gradients, parameters, momentum and ψ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_core.arrays import check_fit


def is_none(node: Any) -> bool:
    """Tell `jax.tree` functions to treat None as a leaf."""
    return node is None


def leaves_like(
    treedef: Any, leaves: Sequence[Any], other: Any, name: str, other_name: str
) -> list[Any]:
    """Return another tree's leaves in the order of this one's, if both match.

    Args:
        treedef: The structure of this tree, in which None may be a leaf or not.
        leaves: The leaves of this tree. Where one is None, the other tree may hold anything.
        other: The other tree.
        name: What this tree holds, for the error text.
        other_name: What the other tree holds.

    Returns:
        The other tree's leaves, one for each of ``leaves``.

    Raises:
        ValueError: If the structures or the shapes of two leaves differ.
    """
    mismatch = f"The tree of the {name}, {treedef}, is not that of {other_name}: "
    try:
        other_leaves: list[Any] = treedef.flatten_up_to(other)
    except (ValueError, TypeError) as error:
        raise ValueError(mismatch + str(jax.tree.structure(other))) from error
    if not jax.tree_util.all_leaves(
        [y for x, y in zip(leaves, other_leaves, strict=True) if x is not None]
    ):
        raise ValueError(mismatch + str(jax.tree.structure(other)))
    for i, (x, y) in enumerate(zip(leaves, other_leaves, strict=True)):
        if x is not None and jnp.shape(x) != jnp.shape(y):
            places = jax.tree_util.tree_leaves_with_path(treedef.unflatten(range(len(leaves))))
            raise ValueError(
                f"The {name}{jax.tree_util.keystr(places[i][0])} have shape {jnp.shape(x)}, "
                f"{other_name} {jnp.shape(y)}"
            )
    return other_leaves


def rows_of(
    updates: optax.Updates,
    params: optax.Params | None,
    momentum: optax.Updates,
    nu: optax.Updates | None = None,
) -> tuple[list[tuple[Any, ...]], Any]:
    """Return each leaf's gradient, parameter, momentum and V, and the structure of the gradients.

    A gradient may be None. Where there are no parameters or no V, they are None.

    Raises:
        ValueError: If the trees do not match, or a gradient is complex and its momentum is not.
    """
    treedef: Any
    gradients, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    trees = {"the parameters": params, "the momentum": momentum, "nu": nu}
    columns = [
        [None] * len(gradients)
        if tree is None
        else leaves_like(treedef, gradients, tree, "gradients", name)
        for name, tree in trees.items()
    ]
    rows = list(zip(gradients, *columns, strict=True))
    for v, _, s, _ in rows:
        if v is not None and jnp.iscomplexobj(v) and not jnp.iscomplexobj(s):
            raise ValueError(f"Invalid gradients: they are complex, but the momentum is {s.dtype}")
    return rows, treedef


def masked_leaves(mask: Any, params: Any, treedef: Any) -> list[bool]:
    """Return for each leaf whether a mask selects it.

    Args:
        mask: A tree of booleans like the parameters, a prefix of such a tree, or a function of the
            parameters that returns one. None selects all leaves.
        params: The parameters.
        treedef: The structure of the updates, which has as many leaves as are returned.

    Raises:
        ValueError: If there are no parameters, or the mask does not fit them.
    """
    if params is None:
        raise ValueError("weight_decay needs `params`: update(updates, state, params)")
    if mask is None:
        return [True] * treedef.num_leaves
    tree = mask(params) if callable(mask) else mask
    try:
        # A parameter without a gradient may also be None in the params, or there and in the mask.
        expanded = jax.tree.map(
            lambda m, sub: jax.tree.map(lambda _: m, sub, is_leaf=is_none), tree, params
        )
        leaves: list[bool] = treedef.flatten_up_to(expanded)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"The tree of the mask, {jax.tree.structure(tree)}, does not fit that of the "
            f"parameters, {jax.tree.structure(params)}"
        ) from error
    return leaves


def by_path(tree: Any) -> dict[Any, Any]:
    """Return a tree's leaves by their paths.

    By them trees are compared where one may lack leaves, as a momentum those of masked parameters,
    or where Flax NNX puts the leaves into boxes of different classes.
    """
    return dict(jax.tree_util.tree_leaves_with_path(tree))


def at_momentum(momentum: optax.Updates, tree: Any, name: str) -> dict[Any, Any]:
    """Return the leaves of a tree that have a momentum, in its order, by their paths.

    Args:
        momentum: The momentum.
        tree: The parameters, or ψ.
        name: The name of the argument, for the error text.

    Raises:
        ValueError: If a leaf is missing, has another shape, or is complex and its momentum is not.
    """
    leaves, found = by_path(tree), {}
    for path, w in by_path(momentum).items():
        place = name + jax.tree_util.keystr(path)
        if path not in leaves:
            raise ValueError(f"Invalid {place}: it is missing, but the state has a momentum for it")
        leaf = found[path] = leaves[path]
        is_real = jnp.iscomplexobj(w) or not jnp.iscomplexobj(leaf)
        check_fit(place, jnp.shape(leaf), w.shape, is_real=is_real)
    return found


def placed_like(array: Any, old: Any) -> Any:
    """Return an array, which may be wider, with the dtype and the placement of another one."""
    new = np.asarray(array).astype(old.dtype)
    if isinstance(old, np.ndarray):
        return new
    placed = jnp.asarray(new)
    return jax.device_put(placed, old.sharding) if getattr(old, "committed", True) else placed
