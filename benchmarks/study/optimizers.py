"""The optimizers that the study compares, each made from a learning rate and a momentum.

A method's rate is its own learning rate, but for SGD and its like, whose rate is lr/(1 − m): there
the same rate makes equally long steps at all momenta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import optax

from indian_optax import from_sgd, indian, innaprop_from_adam

DAMPING = 0.3
# Makes an optimizer from its schedule of rates, its momentum and the number of steps.
Maker = Callable[[optax.Schedule, Any, int], optax.GradientTransformation]


@dataclass(frozen=True)
class Method:
    """An optimizer of the study.

    Attributes:
        name: The method's name in files, tables and pictures.
        make: A function that makes the optimizer.
        family: "AdamW" or "SGD": those whose grids are of the same rates; else "".
        schedule: The schedule that the method is run with.
    """

    name: str
    make: Maker
    family: str = ""
    schedule: str = "cosine"


def _adamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.adamw(rate, m, **_ADAM)


def _nadamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.nadamw(rate, m, **_ADAM)


def _damped_adamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return innaprop_from_adam(rate, m, damping=DAMPING, **_ADAM)


def _ademamix(rate: optax.Schedule, m: float, steps: int) -> optax.GradientTransformation:
    # The weight of the slow average grows along the run, as its authors have it.
    growing = optax.linear_schedule(0.0, 5.0, steps)
    return optax.contrib.ademamix(rate, 0.9, b3=m, alpha=growing, **_ADAM)


def _schedule_free(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    base = optax.scale_by_rms(_ADAM["b2"], 1e-8, eps_in_sqrt=False, bias_correction=True)
    decayed = optax.chain(base, optax.add_decayed_weights(_ADAM["weight_decay"]))
    scaled = optax.chain(decayed, optax.scale_by_learning_rate(rate))
    return optax.contrib.schedule_free(scaled, rate, m)


def _muon(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    decay = _ADAM["weight_decay"]
    return optax.contrib.muon(rate, beta=m, weight_decay=decay, adam_weight_decay=decay)


def _lion(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.lion(rate, m, _ADAM["b2"], weight_decay=_ADAM["weight_decay"])


def _sgd(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.sgd(lambda count: rate(count) * (1 - m), m, nesterov=True)


def _damped_sgd(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return from_sgd(lambda count: rate(count) * (1 - m), m, damping=DAMPING)


_ADAM: Mapping[str, Any] = {"b2": 0.99, "weight_decay": 0.1}
_ALL = [
    Method("AdamW", _adamw, "AdamW"),
    Method("NAdamW", _nadamw, "AdamW"),
    Method("DampedAdamW", _damped_adamw, "AdamW"),
    Method("AdEMAMix", _ademamix),
    Method("schedule-free AdamW", _schedule_free, schedule="constant"),
    Method("Muon", _muon),
    Method("Lion", _lion),
    Method("SGD, Nesterov", _sgd, "SGD"),
    Method("DampedSGD", _damped_sgd, "SGD"),
    Method("INDIAN", lambda rate, *_: indian(rate)),
    Method("Adam", lambda rate, *_: optax.adam(rate)),
    Method("DampedAdamW, untuned", lambda rate, *_: innaprop_from_adam(rate, damping=DAMPING)),
]
METHODS = {method.name: method for method in _ALL}
