"""The optimizers that the study compares, each made from a learning rate and a momentum.

A method's rate is its own learning rate, but for SGD and its like, whose rate is lr/(1 − m): there
the same rate makes equally long steps at all momenta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from indian_optax import damped_adamw, damped_sgd, indian

DAMPING = 0.3
# Makes an optimizer from its schedule of rates, its momentum and the number of steps.
Maker = Callable[[optax.Schedule, Any, int], optax.GradientTransformation]


@dataclass(frozen=True)
class Method:
    """An optimizer of the study.

    Attributes:
        name: The method's name in files, tables and pictures.
        make: A function that makes the optimizer.
        schedule: The schedule that the method is run with.
    """

    name: str
    make: Maker
    schedule: str = "cosine"


def _adamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.adamw(rate, m, **_ADAM)


def _nadamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return optax.nadamw(rate, m, **_ADAM)


def _damped_adamw(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    return damped_adamw(rate, m, damping=DAMPING, **_ADAM)


def _with_damping(damping: Callable[[float], float]) -> Maker:
    """Return DampedAdamW with the damping that follows from the momentum."""
    return lambda rate, m, _: damped_adamw(rate, m, damping=damping(m), **_ADAM)


def _qhadam(rate: optax.Schedule, m: float, _: int) -> optax.GradientTransformation:
    """Return QHAdam: the same damping, but the gradients are scaled after they are averaged."""
    return optax.chain(
        _scale_by_qhadam(m, (1 - DAMPING) / m),
        optax.add_decayed_weights(_ADAM["weight_decay"]),
        optax.scale_by_learning_rate(rate),
    )


def _scale_by_qhadam(m: float, share: float) -> optax.GradientTransformation:
    def init(params: optax.Params) -> Any:
        return jnp.zeros([], jnp.int32), *(optax.tree.zeros_like(params) for _ in range(2))

    def update(updates: Any, state: Any, _: Any = None) -> Any:
        count, mean, squares = state
        count = count + 1
        mean = optax.tree.update_moment(updates, mean, m, 1)
        squares = optax.tree.update_moment_per_elem_norm(updates, squares, _ADAM["b2"], 2)
        unbiased = optax.tree.bias_correction(mean, m, count)
        roots = optax.tree.bias_correction(squares, _ADAM["b2"], count)
        moves = jax.tree.map(
            lambda g, a, v: ((1 - share) * g + share * a) / (jnp.sqrt(v) + 1e-8),
            updates,
            unbiased,
            roots,
        )
        return moves, (count, mean, squares)

    return optax.GradientTransformation(init, update)


def _ademamix(rate: optax.Schedule, m: float, steps: int) -> optax.GradientTransformation:
    # The weight of the slow average grows along the run, as its authors have it.
    growing = optax.linear_schedule(0.0, 5.0, steps)
    return optax.contrib.ademamix(rate, 0.9, b3=m, alpha=growing, **_ADAM)


def _two_buffers(rate: optax.Schedule, m: float, steps: int) -> optax.GradientTransformation:
    """Return AdEMAMix's two averages, of gradients scaled by rows and columns: an attempt."""
    return optax.chain(
        optax.scale_by_factored_rms(min_dim_size_to_factor=2),
        _two_averages(m, steps),
        optax.add_decayed_weights(_ADAM["weight_decay"]),
        optax.scale_by_learning_rate(rate),
    )


def _two_averages(m: float, steps: int) -> optax.GradientTransformation:
    def init(params: optax.Params) -> Any:
        return jnp.zeros([], jnp.int32), *(optax.tree.zeros_like(params) for _ in range(2))

    def update(updates: Any, state: Any, _: Any = None) -> Any:
        count, fast, slow = state
        fast = optax.tree.update_moment(updates, fast, 0.9, 1)
        slow = optax.tree.update_moment(updates, slow, m, 1)
        weight = 5.0 * count / steps
        unbiased = optax.tree.bias_correction(fast, 0.9, count + 1)
        mixed = jax.tree.map(lambda a, b: a + weight * b, unbiased, slow)
        return mixed, (count + 1, fast, slow)

    return optax.GradientTransformation(init, update)


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
    return damped_sgd(lambda count: rate(count) * (1 - m), m, damping=DAMPING)


_ADAM: Mapping[str, Any] = {"b2": 0.99, "weight_decay": 0.1}
_ALL = [
    Method("AdamW", _adamw),
    Method("NAdamW", _nadamw),
    Method("DampedAdamW", _damped_adamw),
    Method("DampedAdamW, damping 1 − β1²", _with_damping(lambda m: 1 - m**2)),
    Method("DampedAdamW, damping 1 − β1", _with_damping(lambda m: 1 - m)),
    Method("QHAdam", _qhadam),
    Method("AdEMAMix", _ademamix),
    Method("AdEMAMix, scaled by rows and columns", _two_buffers),
    Method("schedule-free AdamW", _schedule_free, schedule="constant"),
    Method("Muon", _muon),
    Method("Lion", _lion),
    Method("SGD, Nesterov", _sgd),
    Method("DampedSGD", _damped_sgd),
    Method("INDIAN", lambda rate, *_: indian(rate)),
    Method("Adam", lambda rate, *_: optax.adam(rate)),
    Method("DampedAdamW, untuned", lambda rate, *_: damped_adamw(rate)),
]
METHODS = {method.name: method for method in _ALL}
