"""The paper's law on a tree: γ, α and β, which the state remembers for ψ and the energy."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_core import authors_pull, coefficients
from indian_optax.base import LinearStep, Scalars
from indian_optax.hyperparameters import Scalar, as_scalar, as_scalar_or_schedule, at_count, cast


class IndianState(NamedTuple):
    """State of `indian`.

    Attributes:
        count: The number of steps made, an int32 scalar, at which schedules are evaluated. It may
            be set.
        begun: Whether a first step was made or a ψ was given, a boolean scalar. The initial speed
            affects only the first step. A step with a learning rate of 0 does not count as one.
        alpha: α of the last step, a scalar, which `psi` and `energy` need.
        beta: β of the last step, a scalar, which they need too.
        momentum: w, a tree like the parameters.
    """

    count: jax.Array  # type: ignore[assignment]  # as in optax, it hides tuple.count
    begun: jax.Array
    alpha: jax.Array
    beta: jax.Array
    momentum: optax.Updates


class PaperLaw:
    """The step of `indian` and `innaprop`.

    Args:
        linear: The linear step.
        learning_rate: γ, a scalar or a schedule.
        alpha: α.
        beta: β.
        initial_speed: s, or None for a start from rest.
        authors_weight_decay: Whether the weight decay leaves ψ unchanged.
    """

    def __init__(
        self,
        linear: LinearStep,
        learning_rate: Any,
        alpha: Any,
        beta: Any,
        initial_speed: Any = None,
        *,
        authors_weight_decay: bool = False,
    ) -> None:
        self._linear = linear
        self._lr = as_scalar_or_schedule("learning_rate", learning_rate)
        self._alpha = as_scalar("alpha", alpha)
        self._beta = as_scalar("beta", beta)
        self._speed = None
        if initial_speed is not None:
            self._speed = as_scalar("initial_speed", initial_speed)
        self._authors_weight_decay = authors_weight_decay

    def init(self, params: optax.Params) -> IndianState:
        """Return the state before the first step: w = 0."""
        # Copies, because a buffer that occurs twice in a state cannot be donated.
        alpha, beta = (jnp.array(x, float, copy=True) for x in (self._alpha, self._beta))
        count, begun = jnp.zeros([], jnp.int32), jnp.zeros([], bool)
        return IndianState(count, begun, alpha, beta, self._linear.init(params))

    def update(
        self,
        updates: optax.Updates,
        state: IndianState,
        params: optax.Params | None,
        *scaling: Any,
    ) -> tuple[optax.Updates, IndianState, optax.Updates]:
        """Return the updates, the new state and the new V.

        Args:
            updates: The gradients.
            state: The state.
            params: θ, or None.
            scaling: The direction and the old V, where the gradient is scaled; see `LinearStep`.
        """
        count = jnp.asarray(state.count)
        lr = at_count("learning_rate", self._lr, count)
        moving = jnp.not_equal(lr, 0)
        first = jnp.logical_and(jnp.logical_not(state.begun), moving)

        def scalars(dtype: Any) -> Scalars:
            rate, alpha, beta, speed = cast(dtype, lr, self._alpha, self._beta, self._speed)
            step = coefficients(rate, alpha, beta, speed, first.astype(dtype))
            shrinkage = self._linear.shrinkage(dtype, lr, count)
            if shrinkage is None or not self._authors_weight_decay:
                return Scalars(step, shrinkage)
            return Scalars(step, shrinkage, authors_pull(shrinkage, alpha, beta, 1))

        new_updates, momentum, nu = self._linear.update(
            updates, state.momentum, params, scalars, count, *scaling
        )
        new = IndianState(
            optax.safe_increment(count),
            jnp.logical_or(state.begun, moving),
            _like(self._alpha, state.alpha),
            _like(self._beta, state.beta),
            momentum,
        )
        return new_updates, new, nu


def _like(value: Scalar, old: Any) -> jax.Array:
    """Return a hyperparameter as the state holds it. A copy, as in `PaperLaw.init`."""
    return jnp.array(value, jnp.result_type(old), copy=True)
