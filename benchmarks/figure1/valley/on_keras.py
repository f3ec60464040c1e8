"""The trajectories in Keras 3, on the backend that KERAS_BACKEND names: an optimizer each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_keras import INDIAN

from . import PROBLEM, Panel

BACKEND = keras.backend.backend()
VERSIONS = f"keras {keras.__version__} on {BACKEND}"

Variables = list[keras.Variable]
Optimizers = list[INDIAN]

# The process is this module's own: see `apart.call`.
keras.config.set_floatx("float64")
if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)


class Trajectories:
    """See `valley.Trajectories`."""

    def __init__(self, panels: Sequence[Panel], lr: float, device: str) -> None:
        (start,) = PROBLEM.theta_0
        self._thetas = [keras.Variable(start, name=f"theta_{i}") for i in range(len(panels))]
        # Keras takes a GPU wherever there is one.
        found = str(self._thetas[0].value.device).lower()
        if ("cpu" in found) != (device == "cpu"):
            raise RuntimeError(f"Keras runs on {found}, not on {device}")
        optimizers = [
            INDIAN(lr, alpha=panel.alpha, beta=panel.beta, initial_speed=panel.initial_speed)
            for panel in panels
        ]
        for optimizer, theta in zip(optimizers, self._thetas, strict=True):
            optimizer.build([theta])
        self._advance = _ADVANCES[BACKEND](self._thetas, optimizers)

    def advance(self, steps: int) -> np.ndarray:
        self._advance(steps)
        return np.array([ops.convert_to_numpy(theta.value) for theta in self._thetas])


def _loss(thetas: Sequence[Any]) -> Any:
    """Return the sum of the panels' losses: no gradient knows of another panel."""
    return ops.sum(PROBLEM.loss([ops.stack(thetas, axis=1)], (), ops))


def _on_tensorflow(thetas: Variables, optimizers: Optimizers) -> Callable[[int], None]:
    import tensorflow as tf  # noqa: PLC0415 (this backend's alone)

    @tf.function(jit_compile=True)
    def advance(steps: Any) -> None:
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                loss = _loss([theta.value for theta in thetas])
            gradients = tape.gradient(loss, [theta.value for theta in thetas])
            for theta, optimizer, gradient in zip(thetas, optimizers, gradients, strict=True):
                optimizer.apply([gradient], [theta])

    return lambda steps: advance(tf.constant(steps))


def _on_jax(thetas: Variables, optimizers: Optimizers) -> Callable[[int], None]:
    def step(_: Any, run: Any) -> Any:
        old, states = run
        gradients = jax.grad(_loss)(old)
        new = [
            optimizer.stateless_apply(state, [gradient], [theta])
            for optimizer, state, gradient, theta in zip(
                optimizers, states, gradients, old, strict=True
            )
        ]
        return [theta for (theta,), _ in new], [state for _, state in new]

    program = jax.jit(lambda run, steps: jax.lax.fori_loop(0, steps, step, run))

    def advance(steps: int) -> None:
        states = [[v.value for v in optimizer.variables] for optimizer in optimizers]
        new, states = program(([theta.value for theta in thetas], states), steps)
        for theta, value in zip(thetas, new, strict=True):
            theta.assign(value)
        for optimizer, state in zip(optimizers, states, strict=True):
            for variable, value in zip(optimizer.variables, state, strict=True):
                variable.assign(value)

    return advance


def _on_torch(thetas: Variables, optimizers: Optimizers) -> Callable[[int], None]:
    def advance(steps: int) -> None:
        for _ in range(steps):
            for theta in thetas:
                theta.value.grad = None
            _loss([theta.value for theta in thetas]).backward()
            for theta, optimizer in zip(thetas, optimizers, strict=True):
                optimizer.apply([theta.value.grad], [theta])

    return advance


_ADVANCES = {"tensorflow": _on_tensorflow, "jax": _on_jax, "torch": _on_torch}
