"""Many runs at once, in JAX: all seeds and step sizes of a study's cell under one `jax.vmap`.

The runs share their network, rule, decay and batch size, and differ in step size, hyperparameters
and seed. Each makes the steps that it would make alone (`on_jax.Trainer`), to rounding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import networks, on_jax
from .data import Dataset, minibatches
from .runs import Record, Run, evaluate

# How many steps the device makes before the host looks up: the progress bar's grain.
_STEPS = 100
# Images per evaluation: those of all runs together should stay in a processor's cache.
_CHUNK = 100


def train_together(
    runs: Sequence[Run], dataset: Dataset, on_step: Callable[[], None] = lambda: None
) -> Iterator[list[Record]]:
    """Make the runs, and yield the records of all after each epoch.

    A record's seconds are the run's equal share; `on_step` is called once for each run and step.

    Raises:
        ValueError: If the runs differ in more than they may.
    """
    model = _Model(runs, dataset)
    seconds = 0.0
    for epoch in range(runs[0].epochs + 1):
        if epoch > 0:
            start = time.perf_counter()
            model.train(epoch, on_step)
            seconds += (time.perf_counter() - start) / len(runs)
        losses, _ = evaluate(model, dataset.train_images, dataset.train_labels, _CHUNK)
        _, accuracies = evaluate(model, dataset.test_images, dataset.test_labels, _CHUNK)
        yield [
            Record(epoch, float(loss), float(accuracy), seconds)
            for loss, accuracy in zip(losses, accuracies, strict=True)
        ]


class _Model:
    """The networks of all runs, side by side: an axis of runs comes first in every array."""

    def __init__(self, runs: Sequence[Run], dataset: Dataset) -> None:
        first = runs[0]
        for field in ("framework", "rule", "power", "network", "batch_size", "epochs"):
            values = [getattr(run, field) for run in runs]
            if any(value != values[0] for value in values):
                raise ValueError(f"Invalid {field}: {values} (runs made together must share it)")
        self._runs, self._samples = runs, len(dataset.train_labels)
        layers = networks.layers(first.network, dataset.train_images.shape[1:], dataset.classes)
        # XLA's convolutions of several networks at once are slow on a CPU, and good on a GPU.
        as_products = jax.default_backend() == "cpu"

        weights = [networks.initial_weights(layers, run.seed) for run in runs]
        self._params = jax.tree.map(lambda *each: jnp.stack(each), *weights)
        self._keys = jnp.stack([jax.random.key(run.seed) for run in runs])
        lrs = jnp.array([run.lr for run in runs], jnp.float32)
        hyperparameters = {
            name: jnp.array([run.hyperparameters[name] for run in runs], jnp.float32)
            for name in first.hyperparameters
        }
        images, labels = jnp.asarray(dataset.train_images), jnp.asarray(dataset.train_labels)
        self._fixed = (lrs, hyperparameters, images, labels)

        def optimizer(lr: jax.Array, hyperparameters: Any) -> optax.GradientTransformation:
            def schedule(count: jax.Array) -> jax.Array:
                return lr * (count + 1.0) ** -first.power

            return on_jax.optimizer(first.rule, hyperparameters, schedule)

        def step(
            lr: Any, h: Any, params: Any, state: Any, key: Any, images: Any, labels: Any
        ) -> Any:
            key, mine = jax.random.split(key)
            gradients = jax.grad(on_jax.loss)(
                params, layers, images, labels, mine, as_products=as_products
            )
            updates, state = optimizer(lr, h).update(gradients, state, params)
            return optax.apply_updates(params, updates), state, key

        # What does not move is an argument too, or XLA would make a constant of all the images.
        def steps(moving: Any, start: int, stop: int, fixed: Any, batches: jax.Array) -> Any:
            lrs, hyperparameters, images, labels = fixed

            def body(i: jax.Array, moving: Any) -> Any:
                batch = batches[:, i]
                return jax.vmap(step)(lrs, hyperparameters, *moving, images[batch], labels[batch])

            return jax.lax.fori_loop(start, stop, body, moving)

        self._state = jax.vmap(lambda lr, h, params: optimizer(lr, h).init(params))(
            lrs, hyperparameters, self._params
        )
        self._make_steps = jax.jit(steps, donate_argnums=0)
        self._forward = jax.jit(
            jax.vmap(
                lambda params, images: on_jax.network(
                    layers, params, images, as_products=as_products
                ),
                in_axes=(0, None),
            )
        )

    def train(self, epoch: int, on_step: Callable[[], None]) -> None:
        orders = {
            seed: minibatches(self._samples, self._runs[0].batch_size, seed, epoch)
            for seed in {run.seed for run in self._runs}
        }
        batches = jnp.asarray(np.stack([orders[run.seed] for run in self._runs]))
        moving = (self._params, self._state, self._keys)
        steps = batches.shape[1]
        for start in range(0, steps, _STEPS):
            stop = min(start + _STEPS, steps)
            moving = jax.block_until_ready(
                self._make_steps(moving, start, stop, self._fixed, batches)
            )
            for _ in range((stop - start) * len(self._runs)):
                on_step()
        self._params, self._state, self._keys = moving

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.asarray(self._forward(self._params, images))
