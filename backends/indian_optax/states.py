"""The states of `scale_by_indian` within an optimizer's state."""

from __future__ import annotations

from typing import Any

import jax
import optax

from indian_optax.base import IndianState


def is_indian(node: Any) -> bool:
    """Tell `jax.tree` functions to treat an `IndianState` as a leaf."""
    return isinstance(node, IndianState)


def indian_states(state: optax.OptState, what: str) -> list[IndianState]:
    """Return all states of `scale_by_indian` inside a state.

    Raises:
        ValueError: If there is none, so that there is no ``what`` either.
    """
    states = [node for node in jax.tree.leaves(state, is_leaf=is_indian) if is_indian(node)]
    if not states:
        raise ValueError(
            f"The state holds no IndianState, so there is no {what}: {jax.tree.structure(state)}"
        )
    return states


def states_with_these_params(state: optax.OptState) -> list[IndianState]:
    """Return the states, unless a wrapper runs the optimizer on parameters that are not the user's.

    Raises:
        ValueError: If there is none, or if one is inside `optax.contrib.schedule_free`, `mechanize`
            or a similar wrapper.
    """

    def keeps_its_own(node: Any) -> bool:
        return hasattr(node, "base_optimizer_state")

    for node in jax.tree.leaves(state, is_leaf=keeps_its_own):
        if keeps_its_own(node) and any(map(is_indian, jax.tree.leaves(node, is_leaf=is_indian))):
            name = type(node).__name__
            raise ValueError(
                f"Invalid state: psi belongs to the iterate that the optimizer inside of {name} "
                "moves, which the params are not. Give its own state and its own parameters (with "
                "schedule_free, state.base_optimizer_state and state.z)"
            )
    return indian_states(state, "psi")
