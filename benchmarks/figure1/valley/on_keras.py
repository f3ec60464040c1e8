"""The trajectories in Keras 3, on the backend that KERAS_BACKEND names: an optimizer each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.harness import on_keras
from indian_keras import INDIAN

from . import PROBLEM, Panel

VERSIONS = on_keras.VERSIONS

# The process is this module's own: see `apart.call`.
keras.config.set_floatx("float64")
match keras.backend.backend():
    case "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
    case "torch":
        import torch
    case "tensorflow":
        import tensorflow as tf


def trajectories(panels: Sequence[Panel], lr: float, device: str) -> Callable[[int], np.ndarray]:
    """See `valley`."""
    (start,) = PROBLEM.theta_0
    thetas = [keras.Variable(start, name=f"theta_{i}") for i in range(len(panels))]
    # Keras takes a GPU wherever there is one.
    found = str(thetas[0].value.device).lower()
    if ("cpu" in found) != (device == "cpu"):
        raise RuntimeError(f"Keras runs on {found}, not on {device}")
    optimizers = [INDIAN(lr, **panel.hyperparameters) for panel in panels]
    for optimizer, theta in zip(optimizers, thetas, strict=True):
        optimizer.build([theta])

    def step(_: Any) -> None:
        gradients = _gradients([theta.value for theta in thetas])
        for theta, optimizer, gradient in zip(thetas, optimizers, gradients, strict=True):
            optimizer.apply([gradient], [theta])

    states = [variable for optimizer in optimizers for variable in optimizer.variables]
    steps = on_keras.repeated(step, [*thetas, *states])

    def advance(count: int) -> np.ndarray:
        steps(np.arange(count))
        return np.array([ops.convert_to_numpy(theta.value) for theta in thetas])

    return advance


def _gradients(thetas: Sequence[Any]) -> Any:
    """Return the gradients of the sum of the panels' losses: none knows of another panel."""

    def loss(thetas: Sequence[Any]) -> Any:
        return ops.sum(PROBLEM.loss([ops.stack(thetas, axis=1)], (), ops))

    match keras.backend.backend():
        case "jax":
            return jax.grad(loss)(thetas)
        case "torch":
            return torch.autograd.grad(loss(thetas), thetas)
    with tf.GradientTape() as tape:
        value = loss(thetas)
    return tape.gradient(value, thetas)
