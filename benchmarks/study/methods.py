"""The optimizers that the study compares, each with the numbers that are tuned for it.

Each tuned number has a scale, which maps a value in [0, 1] to the number. For every method, the
learning rate spans three decades around its usual values. Momenta m go from .7 to .99, with 1 − m
on a logarithmic scale. The damping d = αβ is (1 − m)^x: the heavy ball's at x = 1, and gradient
descent's at x = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import optax

from indian_optax import from_sgd, indian, innaprop_from_adam

Values = Mapping[str, Any]
# Makes an optimizer from the values of the tuned numbers (floats or traced) and the schedule's
# factors.
Maker = Callable[[Values, optax.Schedule], optax.GradientTransformation]
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Scale:
    """The scale of one tuned number, from `low` to `high`. A momentum's scale is that of 1 − m."""

    low: float
    high: float
    name: str = "lr"
    logarithmic: bool = True

    def __call__(self, x: float) -> float:
        if not self.logarithmic:
            return self.low + (self.high - self.low) * x
        value = self.low * (self.high / self.low) ** x
        return 1 - value if self.name == "momentum" else value


@dataclass(frozen=True)
class Method:
    """An optimizer of the study.

    Attributes:
        name: The method's name in tables and pictures.
        family: "SGD", "Adam" or "other": the methods that it is compared with.
        scales: The scales of the tuned numbers, one for each dimension.
        make: A function that makes the optimizer.
    """

    name: str
    family: str
    scales: tuple[Scale, ...]
    make: Maker

    def values(self, point: Any) -> dict[str, float]:
        """Return the tuned numbers at a point of the unit cube."""
        return {scale.name: scale(float(x)) for scale, x in zip(self.scales, point, strict=False)}


SGD_LR = Scale(1e-3, 1.0)
ADAM_LR = Scale(1e-4, 1e-1)
MOMENTUM = Scale(0.3, 0.01, "momentum")
EXPONENT = Scale(0.0, 1.0, "exponent", logarithmic=False)  # of the damping d = (1 − m)^x


def _sgd(momentum: float | None) -> Maker:
    # What is tuned is the step size lr/(1 − m), in terms of the lr at m = .9, so that one scale of
    # lr serves all momenta.
    def make(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
        m = v.get("momentum", momentum)
        return optax.sgd(lambda k: v["lr"] * (1 - m) * 10 * factor(k), m, nesterov=True)

    return make


def _adam(make_one: Callable[..., Any], b1: float | None = None, **options: Any) -> Maker:
    def make(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
        return make_one(lambda k: v["lr"] * factor(k), b1=v.get("momentum", b1), **options)

    return make


def _translated(momentum: float | None, damping: float | None, adaptive: bool) -> Maker:
    """Return the maker of the family's member with learning rate η, momentum m and damping d."""

    def make(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
        m = v.get("momentum", momentum)
        d = (1 - m) ** v["exponent"] if "exponent" in v else damping
        d = 1 - m**2 if d is None else d
        eta = v["lr"] * (1 if adaptive else 10)
        gamma, alpha = jnp.sqrt(eta * (1 - m)), jnp.sqrt((1 - m) / eta)
        decay = WEIGHT_DECAY * eta / gamma
        return _family(gamma, alpha, d / alpha, decay, factor, adaptive)

    return make


def _raw(
    alpha: float | None, beta: float | None, adaptive: bool = False, sigma: float = 0.999
) -> Maker:
    def make(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
        a, b = v.get("alpha", alpha), v.get("beta", beta)
        return _family(v["lr"], a, b, WEIGHT_DECAY, factor, adaptive, sigma)

    return make


def _family(
    gamma: Any,
    alpha: Any,
    beta: Any,
    decay: Any,
    factor: optax.Schedule,
    adaptive: bool,
    sigma: float = 0.999,
) -> optax.GradientTransformation:
    def rate(k: Any) -> Any:
        return gamma * factor(k)

    if not adaptive:
        return indian(rate, alpha, beta)
    scaling = optax.scale_by_rms(sigma, 1e-8, eps_in_sqrt=False, bias_correction=True)
    return optax.chain(scaling, indian(rate, alpha, beta, weight_decay=decay))


def _schedule_free(v: Values, _factor: optax.Schedule) -> optax.GradientTransformation:
    return optax.contrib.schedule_free_adamw(v["lr"], **_DECAY)


def _muon(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
    return optax.contrib.muon(lambda k: v["lr"] * factor(k), **_DECAY)


def _from_sgd(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
    return from_sgd(lambda k: v["lr"] * factor(k), 0.9, damping=0.3)


def _from_adam(v: Values, factor: optax.Schedule) -> optax.GradientTransformation:
    return innaprop_from_adam(lambda k: v["lr"] * factor(k), damping=0.3, **_DECAY)


_DECAY = {"weight_decay": WEIGHT_DECAY}
_ALL = [
    Method("SGD-Nesterov", "SGD", (SGD_LR,), _sgd(0.9)),
    Method("SGD-Nesterov (lr, m)", "SGD", (SGD_LR, MOMENTUM), _sgd(None)),
    Method("INDIAN, the paper's (.5, .1)", "SGD", (Scale(3e-3, 3.0),), _raw(0.5, 0.1)),
    Method("INDIAN (.5, .5)", "SGD", (Scale(3e-3, 3.0),), _raw(0.5, 0.5)),
    Method("INDIAN (.1, 2)", "SGD", (SGD_LR,), _raw(0.1, 2.0)),
    Method("INDIAN (.1, 3)", "SGD", (SGD_LR,), _raw(0.1, 3.0)),
    Method("INDIAN.from_sgd, d .3", "SGD", (SGD_LR,), _from_sgd),
    Method("INDIAN, m .97, d .3", "SGD", (SGD_LR,), _translated(0.97, 0.3, False)),
    Method(
        "INDIAN (lr, m, d)", "SGD", (SGD_LR, MOMENTUM, EXPONENT), _translated(None, None, False)
    ),
    Method(
        "INDIAN (γ, α, β)",
        "SGD",
        (Scale(0.05, 2.0), Scale(0.05, 2.0, "alpha"), Scale(0.05, 2.0, "beta")),
        _raw(None, None),
    ),
    Method("Adam", "Adam", (ADAM_LR,), _adam(optax.adam, 0.9)),
    Method("Adam (lr, β1)", "Adam", (ADAM_LR, MOMENTUM), _adam(optax.adam)),
    Method("AdamW", "Adam", (ADAM_LR,), _adam(optax.adamw, 0.9, **_DECAY)),
    Method("AdamW (lr, β1)", "Adam", (ADAM_LR, MOMENTUM), _adam(optax.adamw, **_DECAY)),
    Method("NAdamW", "Adam", (ADAM_LR,), _adam(optax.nadamw, 0.9, **_DECAY)),
    Method("NAdamW (lr, β1)", "Adam", (ADAM_LR, MOMENTUM), _adam(optax.nadamw, **_DECAY)),
    Method("INNAprop, its paper's (.1, .9)", "Adam", (ADAM_LR,), _raw(0.1, 0.9, True)),
    Method("INNAprop, its paper's (2, 2)", "Adam", (ADAM_LR,), _raw(2.0, 2.0, True)),
    Method("INNAprop, the Adam point", "Adam", (ADAM_LR,), _translated(0.9, None, True)),
    Method("INNAprop.from_adam, d .3", "Adam", (ADAM_LR,), _from_adam),
    Method("INNAprop, d .3", "Adam", (ADAM_LR,), _translated(0.9, 0.3, True)),
    Method(
        "INNAprop (lr, m, d)", "Adam", (ADAM_LR, MOMENTUM, EXPONENT), _translated(None, None, True)
    ),
    Method("schedule-free AdamW", "other", (ADAM_LR,), _schedule_free),
    Method("Lion", "other", (Scale(1e-5, 1e-2),), _adam(optax.lion, 0.9, **_DECAY)),
    Method("Muon", "other", (Scale(1e-3, 1.0),), _muon),
]
METHODS = {method.name: method for method in _ALL}

# For the picture of the sensitivity to the momentum: the best of some rates at each momentum.
MOMENTA = (0.8, 0.9, 0.95, 0.97, 0.99)
SWEEPS = {
    f"{name}, m {m:g}": Method(f"{name}, m {m:g}", family, (rate,), make(m))
    for name, family, rate, make in [
        ("SGD-Nesterov", "SGD", SGD_LR, _sgd),
        ("INDIAN, d .3", "SGD", SGD_LR, lambda m: _translated(m, 0.3, False)),
        ("NAdamW", "Adam", ADAM_LR, lambda m: _adam(optax.nadamw, m, **_DECAY)),
        ("INNAprop, d .3", "Adam", ADAM_LR, lambda m: _translated(m, 0.3, True)),
    ]
    for m in MOMENTA
}
