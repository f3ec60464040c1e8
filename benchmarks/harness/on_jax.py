"""A run in JAX and optax, in plain functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax import from_sgd, indian, innaprop_from_adam, power_decay

from . import banded
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
        transformation = optimizer(run.rule, run.hyperparameters, power_decay(run.lr, run.power))
        self.state = transformation.init(self.params)
        self._key = jax.random.key(run.seed)  # for dropout

        def forward(params: Any, images: jax.Array) -> jax.Array:
            return network(layers, params, images)

        def step(params: Any, state: Any, images: Any, labels: Any, batch: Any, key: Any) -> Any:
            key, mine = jax.random.split(key)
            gradients = jax.grad(loss)(params, layers, images[batch], labels[batch], mine)
            updates, state = transformation.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, key

        self._forward = jax.jit(forward)
        self._step = jax.jit(step, donate_argnums=(0, 1))

    def train(self, batches: np.ndarray, on_step: Callable[[], None]) -> None:
        for batch in batches:
            self.params, self.state, self._key = self._step(
                self.params, self.state, self.images, self.labels, batch, self._key
            )
            on_step()
        jax.block_until_ready(self.params)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self.params, images))


def optimizer(
    rule: str, h: Mapping[str, Any], learning_rate: optax.Schedule
) -> optax.GradientTransformation:
    match rule:
        case "indian":
            return indian(learning_rate, h["alpha"], h["beta"], h["initial_speed"])
        case "indian from_sgd":
            return from_sgd(learning_rate, h["momentum"], damping=h["damping"])
        case "innaprop from_adam":
            return innaprop_from_adam(
                learning_rate,
                h["beta_1"],
                h["beta_2"],
                h["epsilon"],
                h["weight_decay"],
                damping=h["damping"],
            )
        case "sgd" | "nesterov":
            return optax.sgd(learning_rate, h["momentum"], nesterov=rule == "nesterov")
        case "adam":
            return optax.adam(learning_rate, b1=h["beta_1"], b2=h["beta_2"], eps=h["epsilon"])
        case "adamw":
            return optax.adamw(
                learning_rate,
                h["beta_1"],
                h["beta_2"],
                h["epsilon"],
                weight_decay=h["weight_decay"],
            )
        case "adagrad":
            return optax.adagrad(learning_rate, h["initial_accumulator_value"], eps=h["epsilon"])
    raise ValueError(f"Invalid rule: {rule!r}")


def loss(
    params: Any,
    layers: Sequence[Layer],
    images: jax.Array,
    labels: jax.Array,
    key: jax.Array | None = None,
    **options: Any,
) -> jax.Array:
    """Return the mean cross-entropy in training, where dropout has its say."""
    logits = network(layers, params, images, key, **options)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def network(
    layers: Sequence[Layer],
    params: Any,
    x: jax.Array,
    key: jax.Array | None = None,
    as_products: bool = False,
) -> jax.Array:
    """Return the network's outputs.

    Args:
        layers: The layers.
        params: Their weights.
        x: Images.
        key: For dropout, in training.
        as_products: Whether to make convolutions of few channels as in `banded`, together with a
            mean-pool behind them.
    """
    remaining = iter(params)
    pooled = False
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        match layer.kind:
            case "pad-to":
                x = jnp.pad(x, ((0, 0), *layer.padding, (0, 0)))
            case "conv" | "valid-conv":
                pool = _product_with_pool(layer, following) if as_products else None
                x = _convolution(x, layer, *next(remaining), pool)
                pooled = pool is not None and pool > 1
            case "relu":
                x = jax.nn.relu(x)
            case "tanh":
                x = jnp.tanh(x)
            case "max-pool":
                x = _windows(x, layer, -jnp.inf, jax.lax.max)
            case "mean-pool" if pooled:
                pooled = False
            case "mean-pool":
                x = _windows(x, layer, 0.0, jax.lax.add) / layer.numbers[0] ** 2
            case "dropout" if key is not None:
                key, mine = jax.random.split(key)
                kept = 1 - layer.numbers[0] / 100
                x = jnp.where(jax.random.bernoulli(mine, kept, x.shape), x / kept, 0)
            case "dense":
                kernel, bias = next(remaining)
                x = x.reshape(len(x), -1) @ kernel + bias
    return x


def _product_with_pool(layer: Layer, following: Layer | None) -> int | None:
    """Return the windows' size of the mean-pool behind, 1 without one, None for XLA's own."""
    if layer.input_shape[-1] > banded.MAXIMAL_CHANNELS:
        return None
    if following is None or following.kind != "mean-pool":
        return 1
    size, stride = following.window
    return size if size == stride else 1


def _convolution(
    x: jax.Array, layer: Layer, kernel: jax.Array, bias: jax.Array, pool: int | None
) -> jax.Array:
    if layer.kind == "conv":
        x = jnp.pad(x, ((0, 0), *layer.padding, (0, 0)))
    if pool is not None:
        return banded.convolution(x, kernel, pool) + bias
    numbers = ("NHWC", "HWIO", "NHWC")
    return (
        jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers) + bias
    )


def _windows(x: jax.Array, layer: Layer, start: float, combine: Callable[..., Any]) -> jax.Array:
    size, stride = layer.window
    return jax.lax.reduce_window(
        x, start, combine, (1, size, size, 1), (1, stride, stride, 1), "VALID"
    )
