"""A run in JAX and optax, in plain functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax import indian, power_decay

from .networks import Layer, Weights
from .runs import Run

VERSIONS = f"jax {jax.__version__}, optax {optax.__version__}"


class Trainer:
    """See `runs.Trainer`."""

    def __init__(
        self,
        run: Run,
        layers: Sequence[Layer],
        weights: Weights,
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        self.images, self.labels = jnp.asarray(images), jnp.asarray(labels)
        self.params = jax.tree.map(jnp.asarray, weights)
        transformation = optimizer(run)
        self.state = transformation.init(self.params)

        def forward(params: Any, images: jax.Array) -> jax.Array:
            return network(layers, params, images)

        def loss(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
            logits = forward(params, images)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        def step(params: Any, state: Any, images: Any, labels: Any, batch: Any) -> Any:
            gradients = jax.grad(loss)(params, images[batch], labels[batch])
            updates, state = transformation.update(gradients, state, params)
            return optax.apply_updates(params, updates), state

        self._forward = jax.jit(forward)
        self._step = jax.jit(step, donate_argnums=(0, 1))

    def train(self, batches: np.ndarray, on_step: Callable[[], None]) -> None:
        for batch in batches:
            self.params, self.state = self._step(
                self.params, self.state, self.images, self.labels, batch
            )
            on_step()
        jax.block_until_ready(self.params)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self.params, images))


def optimizer(run: Run) -> optax.GradientTransformation:
    h = run.hyperparameters
    learning_rate = power_decay(run.lr, power=run.power)
    match run.rule:
        case "indian":
            return indian(learning_rate, h["alpha"], h["beta"], h["initial_speed"])
        case "sgd":
            return optax.sgd(learning_rate, momentum=h["momentum"])
        case "adam":
            return optax.adam(learning_rate, b1=h["beta_1"], b2=h["beta_2"], eps=h["epsilon"])
        case "adagrad":
            return optax.adagrad(learning_rate, h["initial_accumulator_value"], eps=h["epsilon"])
    raise ValueError(f"Invalid rule: {run.rule!r}")


def network(layers: Sequence[Layer], params: Any, x: jax.Array) -> jax.Array:
    remaining = iter(params)
    for layer in layers:
        match layer.kind:
            case "conv":
                kernel, bias = next(remaining)
                x = jax.lax.conv_general_dilated(
                    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                x = x + bias
            case "relu":
                x = jax.nn.relu(x)
            case "tanh":
                x = jnp.tanh(x)
            case "max-pool":
                window = (1, layer.numbers[0], layer.numbers[0], 1)
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
            case "mean-pool":
                window = (1, layer.numbers[0], layer.numbers[0], 1)
                x = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, window, "VALID")
                x = x / layer.numbers[0] ** 2
            case "dense":
                kernel, bias = next(remaining)
                x = x.reshape(len(x), -1) @ kernel + bias
    return x
