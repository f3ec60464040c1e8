"""INDIAN in its two forms, (θ, ψ) and (θ, w), with a separate precision for each variable.

The momentum form is the adapter's own. The phase-space form is `indian_core.phase_space` as an
optax transformation, because no adapter runs it. It computes a step in the larger precision of θ
and ψ, and at least in float32, and then rounds each of them once. The adapter does the same if θ
or w has 16 bits.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.harness import on_jax
from benchmarks.harness.networks import Layer, Weights
from indian_core import phase_space
from indian_optax import indian, power_decay, stochastic_rounding


@dataclass(frozen=True)
class Variant:
    """The variables that are stored, and their precisions.

    Attributes:
        form: "psi" or "momentum".
        parameters: The dtype of θ and of the network's computations.
        state: The dtype of ψ or w.
        stochastic_rounding: Whether 16-bit parameters are rounded stochastically.
    """

    form: str
    parameters: str
    state: str
    stochastic_rounding: bool = False

    def __post_init__(self) -> None:
        if self.form not in ("psi", "momentum"):
            raise ValueError(f"Invalid form: {self.form!r} (it must be 'psi' or 'momentum')")
        if self.stochastic_rounding and self.form == "psi":
            raise ValueError("Invalid stochastic_rounding: True (the psi form has none)")

    def __str__(self) -> str:
        letter = {"psi": "ψ", "momentum": "w"}[self.form]
        rounding = ", stochastic rounding" if self.stochastic_rounding else ""
        return f"θ {self.parameters}, {letter} {self.state}{rounding}"


@dataclass(frozen=True)
class Rule:
    """INDIAN's hyperparameters. The step sizes are lr (k + 1)^(−power)."""

    lr: float
    power: float
    alpha: float
    beta: float
    initial_speed: float


def scale_by_phase_space(rule: Rule, dtype: Any) -> optax.GradientTransformation:
    """Return equation (11) of the paper, letter for letter, with a separate dtype for ψ.

    The updates are in the precision that the step is computed in. The state consists of the number
    of steps made, and ψ as a pytree with the structure of the parameters.
    """
    alpha, beta, schedule = rule.alpha, rule.beta, power_decay(rule.lr, power=rule.power)

    def leaf(theta: jax.Array, psi: jax.Array, v: jax.Array, count: Any) -> Any:
        precision = jnp.promote_types(jnp.promote_types(theta.dtype, psi.dtype), jnp.float32)
        theta, v = theta.astype(precision), v.astype(precision)
        initial = phase_space.initial_psi(theta, v, alpha, beta, rule.initial_speed).astype(dtype)
        psi = jnp.where(count == 0, initial, psi).astype(precision)
        lr = jnp.asarray(schedule(count), precision)
        new_theta, new_psi = phase_space.step(theta, psi, v, lr, alpha, beta)
        return new_theta - theta, new_psi.astype(dtype)

    def init(params: Any) -> Any:
        return jnp.zeros([], jnp.int32), jax.tree.map(lambda x: jnp.zeros_like(x, dtype), params)

    def update(updates: Any, state: Any, params: Any) -> Any:
        count, psi = state
        step = functools.partial(leaf, count=count)
        pairs = jax.tree.map(step, params, psi, updates)
        updates, psi = jax.tree.transpose(jax.tree.structure(params), None, pairs)
        return updates, (count + 1, psi)

    return optax.GradientTransformation(init, update)


class Training:
    """A network that is being trained.

    Attributes:
        theta: All parameters as one flat float64 array. An assignment to it changes the parameters
            from outside, and leaves the optimizer's state unchanged.
    """

    def __init__(
        self,
        variant: Variant,
        rule: Rule,
        layers: Sequence[Layer],
        weights: Weights,
        images: np.ndarray,
        labels: np.ndarray,
        seed: int,
    ) -> None:
        self._layers = tuple(layers)
        self._images = jnp.asarray(images, variant.parameters)
        self._labels = jnp.asarray(labels)
        self._params = jax.tree.map(lambda x: jnp.asarray(x, variant.parameters), weights)
        self._state = optimizer(variant, rule, seed).init(self._params)
        self._key = variant, rule

    def train(self, batches: np.ndarray) -> None:
        """Make a step on each row of image indices, (steps, batch_size)."""
        train, _ = _programs(*self._key, self._layers)
        self._params, self._state = train(
            self._params, self._state, self._images, self._labels, batches
        )

    def coast(self, steps: int) -> None:
        """Make this many steps with zero gradients."""
        _, coast = _programs(*self._key, self._layers)
        self._params, self._state = coast(self._params, self._state, steps)

    @property
    def theta(self) -> np.ndarray:
        flat, _ = jax.flatten_util.ravel_pytree(self._params)
        return np.array(flat, np.float64)

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        flat, unravel = jax.flatten_util.ravel_pytree(self._params)
        self._params = unravel(jnp.asarray(theta, flat.dtype))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return the network's outputs, computed in float64."""
        params = jax.tree.map(lambda x: x.astype(jnp.float64), self._params)
        return np.array(on_jax.network(self._layers, params, jnp.asarray(images, jnp.float64)))


def optimizer(variant: Variant, rule: Rule, seed: int) -> optax.GradientTransformation:
    if variant.form == "psi":
        return scale_by_phase_space(rule, variant.state)
    transformation = indian(
        power_decay(rule.lr, power=rule.power),
        rule.alpha,
        rule.beta,
        rule.initial_speed,
        accumulator_dtype=variant.state,
    )
    if variant.stochastic_rounding:
        return stochastic_rounding(transformation, seed)
    return transformation


@functools.cache  # runs from other weights share their compiled programs
def _programs(variant: Variant, rule: Rule, layers: tuple[Layer, ...]) -> tuple[Any, Any]:
    transformation = optimizer(variant, rule, seed=0)  # the run's own key is in its state

    def apply(gradients: Any, params: Any, state: Any) -> tuple[Any, Any]:
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    @jax.jit
    def train(params: Any, state: Any, images: Any, labels: Any, batches: Any) -> Any:
        def step(run: Any, batch: Any) -> Any:
            gradients = jax.grad(on_jax.loss)(run[0], layers, images[batch], labels[batch])
            return apply(gradients, *run), None

        return jax.lax.scan(step, (params, state), batches)[0]

    @jax.jit
    def coast(params: Any, state: Any, steps: Any) -> Any:
        still = jax.tree.map(jnp.zeros_like, params)
        return jax.lax.fori_loop(0, steps, lambda _, run: apply(still, *run), (params, state))

    return train, coast
