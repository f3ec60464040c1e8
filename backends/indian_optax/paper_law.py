"""The paper's law on a tree: γ, α and β, which the state remembers for ψ and the energy."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from indian_core import Coefficients, authors_pull, coefficients
from indian_optax.base import Direction, LinearStep, Scalars
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
        gradients: list[Any],
        treedef: Any,
        state: IndianState,
        params: optax.Params | None,
        direction: Direction = None,
    ) -> tuple[optax.Updates, IndianState]:
        """Return the updates and the new state; see `LinearStep.update`."""
        count = jnp.asarray(state.count)
        lr = at_count("learning_rate", self._lr, count)
        moving = jnp.not_equal(lr, 0)
        first = jnp.logical_and(jnp.logical_not(state.begun), moving)

        def scalars(dtype: Any) -> Scalars:
            shrinkage = self._linear.shrinkage(dtype, lr, count)
            pull = None
            if shrinkage is not None and self._authors_weight_decay:
                alpha, beta = cast(dtype, self._alpha, self._beta)
                pull = authors_pull(shrinkage, alpha, beta, 1)
            return Scalars(self._coefficients(dtype, lr, first), shrinkage, pull)

        updates, momentum = self._linear.update(
            gradients,
            treedef,
            state.momentum,
            params,
            scalars,
            count,
            direction,
        )
        new = IndianState(
            optax.safe_increment(count),
            jnp.logical_or(state.begun, moving),
            _like(self._alpha, state.alpha),
            _like(self._beta, state.beta),
            momentum,
        )
        return updates, new

    def _coefficients(self, dtype: Any, lr: Scalar, first: jax.Array) -> Coefficients:
        lr, alpha, beta, speed = cast(dtype, lr, self._alpha, self._beta, self._speed)
        later = coefficients(lr, alpha, beta)
        if speed is None:
            return Coefficients(*(jnp.asarray(x, dtype) for x in later))
        # Both are computed, so that what is known as a float now is computed in double precision
        # and rounded once.
        at_first = coefficients(lr, alpha, beta, speed, first=True)
        return Coefficients(
            *(
                jnp.where(first, jnp.asarray(x, dtype), jnp.asarray(y, dtype))
                for x, y in zip(at_first, later, strict=True)
            )
        )


def _like(value: Scalar, old: Any) -> jax.Array:
    """Return a hyperparameter as the state holds it. A copy, as in `PaperLaw.init`."""
    return jnp.array(value, jnp.asarray(old).dtype, copy=True)
