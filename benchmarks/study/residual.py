"""The image workload: a small residual network with batch normalisation on Fashion-MNIST."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import data
from benchmarks.study.training import Workload, cross_entropy

WIDTHS = (8, 16)  # of the two residual blocks
BATCH = 32
KEPT = 0.9  # of the running statistics in each step, as in PyTorch
HELD_OUT = 5000  # of the training images, for validation
SEEN = 5000  # training images that the training loss at the end is of


def load(folder: str | None, normalised: bool = True) -> Workload:
    """Return the workload, with batch normalisation or with biases in its place.

    Raises:
        ValueError: If there is no folder.
    """
    if folder is None:
        raise ValueError("Invalid data: None (Fashion-MNIST's four IDX files are needed)")
    found = data.load(folder)
    images, labels = found.train_images, found.train_labels.astype(np.int32)
    mean, spread = images.mean(), images.std()
    images, test = ((each - mean) / spread for each in (images, found.test_images))
    train = (images[:-HELD_OUT], labels[:-HELD_OUT])

    def batches(seed: int, steps: int) -> np.ndarray:
        """Return the images' numbers in new orders of the seed's: (steps, batch size)."""
        random = np.random.default_rng((seed, 2))
        epochs = -(-steps * BATCH // len(train[0]))
        orders = [random.permutation(len(train[0])) for _ in range(epochs)]
        return np.concatenate(orders)[: steps * BATCH].reshape(steps, BATCH)

    def loss(
        params: Any, statistics: Any, batch: Any, training: bool
    ) -> tuple[jax.Array, tuple[Any, jax.Array]]:
        logits, statistics = _forward(params, statistics, batch[0], training, normalised)
        value, right = cross_entropy(logits, batch[1])
        return value, (statistics, right)

    return Workload(
        name="residual network" + ("" if normalised else " without normalisation"),
        data="Fashion-MNIST",
        initial=_initial,
        loss=loss,
        train=train,
        measured={
            "train": (train[0][:SEEN], train[1][:SEEN]),
            "validation": (images[-HELD_OUT:], labels[-HELD_OUT:]),
            "test": (test, found.test_labels.astype(np.int32)),
        },
        batches=batches,
    )


def _initial(seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng((seed, 1))

    def kernel(*shape: int) -> np.ndarray:
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        return scale * random.standard_normal(shape).astype(np.float32)

    first, second = WIDTHS
    shapes = {
        "stem": (3, 3, 1, first),
        "1a": (3, 3, first, first),
        "1b": (3, 3, first, first),
        "2a": (3, 3, first, second),
        "2b": (3, 3, second, second),
        "beside": (1, 1, first, second),
    }
    layers = {
        name: {"kernel": kernel(*shape), "gain": np.ones(shape[-1]), "bias": np.zeros(shape[-1])}
        for name, shape in shapes.items()
    }
    params = {"layers": layers, "head": kernel(second, 10), "bias": np.zeros(10)}
    statistics = {
        name: {"mean": np.zeros(shape[-1]), "variance": np.ones(shape[-1])}
        for name, shape in shapes.items()
    }
    return jax.tree.map(np.float32, (params, statistics))


def _forward(
    params: Any, statistics: Any, images: jax.Array, training: bool, normalised: bool
) -> tuple[jax.Array, Any]:
    """Return the logits and the new running statistics."""
    running = dict(statistics)

    def layer(x: jax.Array, name: str, stride: int = 1) -> jax.Array:
        weights, own = params["layers"][name], statistics[name]
        x = _convolved(x, weights["kernel"], stride)
        if not normalised:
            return weights["gain"] * x + weights["bias"]
        now = own
        if training:
            now = {"mean": x.mean(axis=(0, 1, 2)), "variance": x.var(axis=(0, 1, 2))}
            running[name] = jax.tree.map(lambda a, b: KEPT * a + (1 - KEPT) * b, own, now)
        gain = weights["gain"] * jax.lax.rsqrt(now["variance"] + 1e-5)
        return (x - now["mean"]) * gain + weights["bias"]

    x = jax.nn.relu(layer(images, "stem", 2))
    x = jax.nn.relu(x + layer(jax.nn.relu(layer(x, "1a")), "1b"))
    across = layer(x, "beside", 2)
    x = jax.nn.relu(across + layer(jax.nn.relu(layer(x, "2a", 2)), "2b"))
    return x.mean(axis=(1, 2)) @ params["head"] + params["bias"], running


def _convolved(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Return a convolution as one matrix product, which is faster on a CPU."""
    size, _, into, out = kernel.shape
    n, height, width, _ = x.shape
    x = jnp.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0)))
    rows, columns = -(-height // stride), -(-width // stride)
    shifted = [
        x[:, i : i + height : stride, j : j + width : stride]
        for i in range(size)
        for j in range(size)
    ]
    flat = jnp.concatenate(shifted, axis=-1).reshape(n * rows * columns, size * size * into)
    return (flat @ kernel.reshape(-1, out)).reshape(n, rows, columns, out)
