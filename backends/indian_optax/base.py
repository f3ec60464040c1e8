"""What the methods share: the state, and the linear step on a tree of directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax

from indian_core import dragged, is_step
from indian_optax import hyperparameters
from indian_optax.dtypes import checked_dtype, momentum_dtype
from indian_optax.hyperparameters import Scalar, at_count, cast
from indian_optax.leaf import Again, LeafStep, Scalars, working_arrays
from indian_optax.rules import Rule
from indian_optax.trees import is_none, leaves_like, masked_leaves

State = TypeVar("State", bound=tuple[Any, ...])
# A function that returns what replaces leaf i's gradient, in the step's dtype. Its arguments are i,
# the gradient in that dtype, and the new w of the leaf before. It also returns a function that
# makes the same direction again from the new θ, or None if the direction is kept until then. None
# as the Direction means the gradient itself.
Direction = Callable[[int, jax.Array, Any], tuple[jax.Array, Again]] | None


class IndianState(NamedTuple):
    """State of `scale_by_indian`.

    Attributes:
        count: The number of steps made, an int32 scalar, at which schedules are evaluated. It may
            be set.
        begun: Whether a first step was made or a ψ was given, a boolean scalar. The initial speed
            affects only the first step. A step with a learning rate of 0 counts as one only with a
            ``reference_lr``.
        gamma: γ of the last step, a scalar. Where m stays constant, w is rescaled from it to the
            next γ.
        alpha: α of the last step, a scalar, which `psi` and `energy` need.
        beta: β of the last step, a scalar, which they need too.
        momentum: w, a tree like the parameters.
    """

    count: jax.Array  # type: ignore[assignment]  # as in optax, it hides tuple.count
    begun: jax.Array
    gamma: jax.Array
    alpha: jax.Array
    beta: jax.Array
    momentum: optax.Updates


class Family:
    """The linear step of a method, on any directions.

    Args:
        rule: How the scalars of the step follow from the hyperparameters.
        weight_decay: λ, decoupled: a scalar, a schedule, or None.
        mask: Which parameters are decayed.
        accumulator_dtype: The momentum's dtype, or None.
        authors_weight_decay: Whether the decay leaves ψ unchanged (with INDIAN's own rule).
    """

    def __init__(
        self,
        rule: Rule,
        weight_decay: Any = None,
        mask: Any = None,
        accumulator_dtype: Any = None,
        *,
        authors_weight_decay: bool = False,
    ) -> None:
        if weight_decay is not None:
            weight_decay = hyperparameters.as_scalar_or_schedule("weight_decay", weight_decay)
        if accumulator_dtype is not None:
            accumulator_dtype = checked_dtype("accumulator_dtype", accumulator_dtype)
        self.rule = rule
        self.weight_decay = weight_decay
        self.mask = mask
        self.accumulator_dtype = accumulator_dtype
        self.authors_weight_decay = authors_weight_decay
        self._decay_is_large = rule.is_decay_large()

    def init(self, params: optax.Params) -> IndianState:
        """Return the state before the first step: w = 0."""
        count = jnp.zeros([], jnp.int32)
        phase = self.rule.phase(self._values(count), jnp.ones([], float))
        momentum = jax.tree.map(
            lambda p: jnp.zeros_like(p, dtype=momentum_dtype(p, self.accumulator_dtype)), params
        )
        gamma, alpha, beta = map(_remembered, phase)
        return IndianState(count, jnp.zeros([], bool), gamma, alpha, beta, momentum)

    def update(
        self,
        gradients: list[Any],
        treedef: Any,
        state: IndianState,
        params: optax.Params | None,
        direction: Direction = None,
    ) -> tuple[optax.Updates, IndianState]:
        """Return the updates and the new state.

        Args:
            gradients: The gradients' leaves, including None.
            treedef: The structure of their tree.
            state: The state.
            params: θ, or None.
            direction: What replaces the gradients.
        """
        old_w = leaves_like(treedef, gradients, state.momentum, "gradients", "the momentum")
        theta: list[Any] = [None] * len(gradients)
        decays = [False] * len(gradients)
        if params is not None:
            theta = leaves_like(treedef, gradients, params, "gradients", "the parameters")
        if self.weight_decay is not None:
            decays = masked_leaves(self.mask, params, treedef)

        count, before = jnp.asarray(state.count), jnp.asarray(state.gamma)
        values = self._values(count)
        phase = self.rule.phase(values, before)
        moving = jnp.asarray(is_step(values["learning_rate"], values.get("reference_lr")))
        step = LeafStep(
            self._scalars(values, before, phase[0]),
            jnp.logical_and(jnp.logical_not(state.begun), moving),
            count,
            # Without θ the updates cannot be ordered. Writing θ from the new w still allows them
            # in place, if the decay is known beforehand to be large.
            from_new=params is None and self._decay_is_large,
        )
        updates: list[Any] = []
        momentum: list[Any] = []
        made = None
        for i, (v, w, p, decayed) in enumerate(zip(gradients, old_w, theta, decays, strict=True)):
            if v is None:  # As in optax.trace, the parameter does not move.
                update, new_w = None, w
            else:
                v, p, wide = working_arrays(v, w, p)
                move, again = v.astype(wide), None
                if direction is not None:
                    move, again = direction(i, move, made)
                update, new_w = step(v, move, w, p, decayed, again)
                made = new_w
            updates.append(update)
            momentum.append(new_w)
        gamma, alpha, beta = map(_remembered, phase)
        begun = jnp.logical_or(state.begun, moving)
        new_w = treedef.unflatten(momentum)
        new_state = IndianState(optax.safe_increment(count), begun, gamma, alpha, beta, new_w)
        return treedef.unflatten(updates), new_state

    def _values(self, count: jax.Array) -> dict[str, Scalar]:
        """Return all hyperparameters at this count."""
        given = {**self.rule.hyperparameters, "weight_decay": self.weight_decay}
        return {name: at_count(name, value, count) for name, value in given.items()}

    def _scalars(
        self, values: dict[str, Scalar], before: jax.Array, after: Scalar
    ) -> Callable[[Any, bool], Scalars]:
        def scalars(dtype: Any, first: bool) -> Scalars:
            numbers = dict(zip(values, cast(dtype, *values.values()), strict=True))
            gammas = cast(dtype, before, after)
            step = self.rule.coefficients(numbers, gammas[0], gammas[1], first)
            if self.weight_decay is None:
                return Scalars(step)
            shrinkage = numbers["learning_rate"] * numbers["weight_decay"]
            if not self.authors_weight_decay:
                return Scalars(step, shrinkage)
            names = ("learning_rate", "alpha", "beta", "weight_decay", "reference_lr")
            pull = dragged(*(numbers[name] for name in names))
            if numbers["reference_lr"] is not None:
                pull = pull * gammas[0] / numbers["reference_lr"]
            return Scalars(step, shrinkage, pull)

        return scalars


def flattened(updates: optax.Updates) -> tuple[list[Any], Any]:
    """Return the gradients' leaves, including None, and the structure of their tree."""
    leaves, treedef = jax.tree.flatten(updates, is_leaf=is_none)
    return leaves, treedef


def checked_state(state: optax.OptState, kind: type[State]) -> State:
    """Return the state.

    Raises:
        TypeError: If it is another optimizer's state.
        ValueError: If a field of it that must be a scalar is not.
    """
    if not isinstance(state, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"The state must be {article} {kind.__name__}, not {type(state).__name__}")
    for name in ("count", "begun", "gamma", "alpha", "beta", "nu_count"):
        value = getattr(state, name) if name in state._fields else 0  # type: ignore[attr-defined]
        # (Python's own numbers are allowed too, for `optax.tree.set(state, count=0)`.)
        if not isinstance(value, bool | int | float) and getattr(value, "shape", None) != ():
            raise ValueError(f"Invalid state: its {name} is {value!r} (it must be a scalar)")
    return state


def _remembered(value: Scalar) -> jax.Array:
    """Return a hyperparameter as a state holds it, in the widest float that JAX has enabled."""
    # A copy, because a buffer that occurs twice in a state cannot be donated.
    return jnp.array(value, float, copy=True)
