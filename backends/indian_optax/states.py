"""The states of this package's methods within an optimizer's state."""

from __future__ import annotations

from typing import Any

import jax
import optax

from indian_optax.damped_adamw import DampedAdamWState
from indian_optax.innaprop import InnapropState
from indian_optax.paper_law import IndianState

# The state of each method. That of `damped_sgd` is SGD's own.
METHODS = {
    "INDIAN": IndianState,
    "INNAprop": InnapropState,
    "DampedSGD": optax.TraceState,
    "DampedAdamW": DampedAdamWState,
}
_STATES = tuple(METHODS.values())


def is_indian(node: Any) -> bool:
    """Tell `jax.tree` functions to treat an `IndianState` as a leaf."""
    return isinstance(node, IndianState)


def is_state(node: Any) -> bool:
    """Tell `jax.tree` functions to treat the state of any method as a leaf."""
    return isinstance(node, _STATES)


def indian_states(state: optax.OptState, what: str) -> list[IndianState]:
    """Return all states of the paper's law inside a state.

    Raises:
        ValueError: If there is none, so that there is no ``what`` either.
    """
    states = [node for node in jax.tree.leaves(state, is_leaf=is_indian) if is_indian(node)]
    if not states:
        raise ValueError(
            f"The state holds no IndianState, so there is no {what}: {jax.tree.structure(state)}"
        )
    return states


def check_params(state: optax.OptState) -> None:
    """Raise if a wrapper runs the optimizer on parameters that are not the user's.

    Raises:
        ValueError: If a state is inside `optax.contrib.schedule_free`, `mechanize` or a similar
            wrapper.
    """

    def keeps_its_own(node: Any) -> bool:
        return hasattr(node, "base_optimizer_state")

    for node in jax.tree.leaves(state, is_leaf=keeps_its_own):
        if keeps_its_own(node) and any(map(is_state, jax.tree.leaves(node, is_leaf=is_state))):
            name = type(node).__name__
            raise ValueError(
                f"Invalid state: it belongs to the iterate that the optimizer inside of {name} "
                "moves, which the params are not. Give its own state and its own parameters (with "
                "schedule_free, state.base_optimizer_state and state.z)"
            )
