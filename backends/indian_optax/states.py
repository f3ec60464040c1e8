"""The states of this package's methods within an optimizer's state."""

from __future__ import annotations

from typing import Any

import jax
import optax

from indian_optax.paper_law import IndianState


def states_of(state: optax.OptState, *kinds: type) -> list[Any]:
    """Return all states of these classes inside a state.

    Raises:
        ValueError: If one of them is inside `optax.contrib.schedule_free`, `mechanize` or a similar
            wrapper, which runs the optimizer on parameters that are not the user's.
    """

    def is_leaf(node: Any) -> bool:
        return isinstance(node, kinds) or hasattr(node, "base_optimizer_state")

    nodes = list(filter(is_leaf, jax.tree.leaves(state, is_leaf=is_leaf)))
    for node in nodes:
        if not isinstance(node, kinds) and states_of(node.base_optimizer_state, *kinds):
            raise ValueError(
                "Invalid state: it belongs to the iterate that the optimizer inside of "
                f"{type(node).__name__} moves, which the params are not. Give its own state and "
                "its own parameters (with schedule_free, state.base_optimizer_state and state.z)"
            )
    return [node for node in nodes if isinstance(node, kinds)]


def indian_states(state: optax.OptState) -> list[IndianState]:
    """Return all states of the paper's law inside a state, or raise ValueError if there is none."""
    found = states_of(state, IndianState)
    if not found:
        raise ValueError(f"Invalid state: it holds no IndianState: {jax.tree.structure(state)}")
    return found
