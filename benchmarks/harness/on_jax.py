"""Runs in JAX and optax. Runs that differ only in step size and seed share one `jax.vmap`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from indian_optax import damped_adamw, damped_sgd, indian

from . import banded
from .networks import Layer, Weights
from .runs import Run

VERSIONS = f"jax {jax.__version__}, optax {optax.__version__}"


class Trainer:
    """See `runs`. The networks train side by side: the first axis of every array is that of runs.

    Up to rounding, each run makes the same steps as it would alone.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        layers: Sequence[Layer],
        weights: Sequence[Weights],
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        params = jax.tree.map(lambda *each: jnp.stack(each), *weights)
        lrs = jnp.array([run.lr for run in runs], jnp.float32)
        self._fixed = jnp.asarray(images), jnp.asarray(labels)

        def step(run: Any, batch: Any, fixed: Any) -> Any:
            lr, params, state = run
            gradients = jax.grad(loss)(params, layers, *(each[batch] for each in fixed))
            updates, state = optimizer(runs[0], lr).update(gradients, state, params)
            return lr, optax.apply_updates(params, updates), state

        # The fixed data are an argument too, or XLA would embed all the images as a constant.
        def steps(moving: Any, batches: jax.Array, fixed: Any) -> Any:
            each = jax.vmap(step, in_axes=(0, 0, None))
            return jax.lax.scan(lambda run, batch: (each(run, batch, fixed), None), moving, batches)

        states = jax.vmap(lambda lr, params: optimizer(runs[0], lr).init(params))(lrs, params)
        self._moving = lrs, params, states
        self._steps = jax.jit(steps, donate_argnums=0)
        self._forward = jax.jit(jax.vmap(functools.partial(network, layers), in_axes=(0, None)))

    def train(self, batches: np.ndarray) -> None:
        batches = np.swapaxes(batches, 0, 1)
        self._moving, _ = jax.block_until_ready(self._steps(self._moving, batches, self._fixed))

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self._moving[1], images))


class Trajectory:
    """See `runs`. The steps of one call to `go_on` are one compiled program."""

    def __init__(
        self, start: np.ndarray, gradient: Callable[..., Any], hyperparameters: Mapping[str, float]
    ) -> None:
        def step(run: Any, lr: Any) -> Any:
            theta, state = run
            transformation = indian(lr, **hyperparameters)
            updates, state = transformation.update(gradient(jnp, theta), state, theta)
            return (optax.apply_updates(theta, updates), state), None

        theta = jnp.asarray(start)
        self._run = theta, indian(1.0, **hyperparameters).init(theta)
        self._steps = jax.jit(lambda run, lrs: jax.lax.scan(step, run, lrs)[0])

    def go_on(self, lrs: np.ndarray) -> np.ndarray:
        self._run = self._steps(self._run, lrs)
        return np.asarray(self._run[0])


RULES: dict[str, Callable[..., optax.GradientTransformation]] = {
    "indian": indian,
    "damped sgd": damped_sgd,
    "damped adamw": damped_adamw,
    "sgd": optax.sgd,
    "nesterov": functools.partial(optax.sgd, nesterov=True),
    "adam": optax.adam,
    "adamw": optax.adamw,
    "adagrad": optax.adagrad,
}
WORDS = {"beta_1": "b1", "beta_2": "b2", "epsilon": "eps"}  # optax's names


def optimizer(run: Run, lr: Any) -> optax.GradientTransformation:
    """Return the run's optimizer, with `lr`, which may be traced, as the initial step size."""
    h = {WORDS.get(name, name): value for name, value in run.hyperparameters.items()}
    return RULES[run.rule](lambda count: lr * (count + 1.0) ** -run.power, **h)


def loss(params: Any, layers: Sequence[Layer], images: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the mean cross-entropy."""
    logits = network(layers, params, images)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def network(layers: Sequence[Layer], params: Any, x: jax.Array) -> jax.Array:
    """Return the network's outputs for the images `x`."""
    remaining = iter(params)
    pooled = False
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        match layer.kind:
            case "conv" | "valid-conv":
                x, pooled = _convolution(x, layer, *next(remaining), following)
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
            case "dense":
                kernel, bias = next(remaining)
                x = x.reshape(len(x), -1) @ kernel + bias
    return x


def _convolution(
    x: jax.Array, layer: Layer, kernel: jax.Array, bias: jax.Array, following: Layer | None
) -> tuple[jax.Array, bool]:
    """Return the convolution, and whether it already includes the mean-pool that follows."""
    if layer.kind == "conv":
        margin = layer.numbers[1] // 2
        x = jnp.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    # XLA's convolutions of several networks at once are slow on a CPU.
    if x.shape[-1] <= banded.MAXIMAL_CHANNELS:
        pooled = following is not None and following.kind == "mean-pool"
        pool = following.numbers[0] if following and pooled else 1
        return banded.convolution(x, kernel, pool) + bias, pooled
    numbers = ("NHWC", "HWIO", "NHWC")
    found = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=numbers)
    return found + bias, False


def _windows(x: jax.Array, layer: Layer, start: float, combine: Callable[..., Any]) -> jax.Array:
    window = (1, *layer.numbers, *layer.numbers, 1)
    return jax.lax.reduce_window(x, start, combine, window, window, "VALID")
