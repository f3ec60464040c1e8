r"""How the hyperparameters of a method become γ, α and β and the four scalars of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import indian_core
from indian_core import SMALLEST_DECAY, Coefficients
from indian_optax.hyperparameters import Scalar, ScalarOrSchedule, as_scalar, as_scalar_or_schedule


class Rule(NamedTuple):
    """How a step follows from the hyperparameters.

    Attributes:
        hyperparameters: Floats, arrays and schedules by name; one of them is the learning rate.
        phase: A function that returns γ, α and β. Its arguments are the hyperparameters' values and
            the previous step's γ.
        coefficients: A function that returns the scalars of the step. Its arguments are the values,
            γ before and after the step, and whether this is the first step.
    """

    hyperparameters: Mapping[str, ScalarOrSchedule]
    phase: Callable[[Mapping[str, Scalar], jax.Array], tuple[Scalar, Scalar, Scalar]]
    coefficients: Callable[[Mapping[str, Scalar], Scalar, Scalar, bool], Coefficients]

    def is_decay_large(self) -> bool:
        """Return whether |1 − αγ| is known to be large enough to write θ from the new w."""
        lr, alpha = self.hyperparameters["learning_rate"], self.hyperparameters.get("alpha")
        if not isinstance(alpha, float) or not isinstance(lr, float):
            return False
        return abs(1 - alpha * (self.hyperparameters["reference_lr"] or lr)) >= SMALLEST_DECAY


def indian_rule(
    learning_rate: Any,
    alpha: Any,
    beta: Any,
    initial_speed: Any = None,
    reference_lr: float | None = None,
) -> Rule:
    """Return INDIAN's own rule, in which γ is the learning rate, and α and β are given.

    With a reference learning rate, α and β follow the learning rate (`indian_core.kept_momentum`).
    """
    hyperparameters = {
        "learning_rate": as_scalar_or_schedule("learning_rate", learning_rate),
        "alpha": as_scalar("alpha", alpha),
        "beta": as_scalar("beta", beta),
        "initial_speed": None,
        "reference_lr": None,
    }
    for name, given in (("initial_speed", initial_speed), ("reference_lr", reference_lr)):
        if given is not None:
            hyperparameters[name] = as_scalar(name, given)

    def phase(values: Mapping[str, Scalar], before: jax.Array) -> tuple[Scalar, Scalar, Scalar]:
        lr, alpha, beta, reference = (
            values[name] for name in ("learning_rate", "alpha", "beta", "reference_lr")
        )
        if reference is None:
            return lr, alpha, beta
        gamma = _moving_gamma(lr * reference, before)
        return gamma, alpha * reference / gamma, beta * gamma / reference

    def coefficients(
        values: Mapping[str, Scalar], before: Scalar, after: Scalar, first: bool
    ) -> Coefficients:
        reference = values["reference_lr"]
        step = indian_core.coefficients(
            values["learning_rate"],
            values["alpha"],
            values["beta"],
            values["initial_speed"],
            first,
            reference,
        )
        if reference is None:
            return step
        return indian_core.rescaled(step, before / reference, after / reference)

    return Rule(hyperparameters, phase, coefficients)


def _moving_gamma(square: Scalar, before: jax.Array) -> jax.Array:
    """Return γ, or the previous γ if it is 0, since θ does not move then and w keeps its units."""
    square = jnp.asarray(square, float)
    return jnp.sqrt(jnp.where(square > 0, square, before**2))


def momentum_rule(
    learning_rate: Any, momentum: Any, damping: Any, *, nesterov: bool, total: bool = False
) -> Rule:
    """Return the rule of SGD's hyperparameters, in which m stays constant along any schedule.

    Args:
        learning_rate: SGD's learning rate, or a schedule of it.
        momentum: m.
        damping: d, or None for SGD's own.
        nesterov: Whether SGD's own d is that of Nesterov's momentum.
        total: Whether ``learning_rate`` is the total gain η = lr/(1 − m).
    """
    hyperparameters = {"learning_rate": learning_rate, "momentum": momentum, "damping": damping}

    def sgd_lr(values: Mapping[str, Scalar]) -> Scalar:
        return values["learning_rate"] * (1 - values["momentum"] if total else 1)

    def shares(values: Mapping[str, Scalar]) -> indian_core.SGDShares:
        return indian_core.sgd_shares(values["momentum"], nesterov, values["damping"])

    def phase(values: Mapping[str, Scalar], before: jax.Array) -> tuple[Scalar, Scalar, Scalar]:
        gamma = _moving_gamma(sgd_lr(values), before)
        return gamma, (1 - values["momentum"]) / gamma, shares(values).ratio * gamma

    def coefficients(
        values: Mapping[str, Scalar], before: Scalar, after: Scalar, _: bool
    ) -> Coefficients:
        step = indian_core.scheduled_sgd(sgd_lr(values), values["momentum"], shares(values))
        return indian_core.rescaled(step, before, after)

    return Rule(hyperparameters, phase, coefficients)
