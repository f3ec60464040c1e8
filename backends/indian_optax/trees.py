"""Trees that must match: gradients, parameters, momentum and ψ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


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
