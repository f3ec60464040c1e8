"""The training problems: networks and data, as plain functions in JAX, and the length of a run.

A workload is so small that about a hundred runs of it take minutes on a CPU. The seed determines
the initial weights and the order of the minibatches, and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import data

Params = Any
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Workload:
    """A training problem.

    Attributes:
        name: The workload's name in tables.
        initial: ``initial(random)``, the initial weights.
        loss: ``loss(params, batch)``, a mean over the minibatch's samples.
        score: ``score(params, batch)``, the share of right predictions.
        train: The training samples: arrays whose first axes agree.
        test: The test samples, on which nothing is trained or chosen.
        batch_size: B.
        steps: The number of steps in a run.
        seen: The number of samples that a loss at the end is averaged over, both for training and
            for test samples. A point of a curve takes a quarter of them.
        warmup: The fraction of the steps over which the learning rate rises from 0. All methods
            have it, because INNAprop's momentum, which is not bias-corrected, begins gently by
            itself, and Adam's does not.
        clip: The largest norm allowed for all gradients together; None for no clipping.
    """

    name: str
    initial: Callable[[np.random.Generator], Params]
    loss: Callable[[Params, Any], jax.Array]
    score: Callable[[Params, Any], jax.Array]
    train: Arrays
    test: Arrays
    batch_size: int
    steps: int
    seen: int = 4000
    warmup: float = 0.05
    clip: float | None = None

    def batches(self, seed: int) -> np.ndarray:
        """Return the indices of all minibatches, (steps, batch size), epoch by epoch."""
        samples = len(self.train[0])

        def epochs() -> Iterator[np.ndarray]:
            for epoch in range(1, 2 + self.steps * self.batch_size // samples):
                yield from data.minibatches(samples, self.batch_size, seed, epoch)

        found = [batch for batch, _ in zip(epochs(), range(self.steps), strict=False)]
        assert len(found) == self.steps
        return np.stack(found)


def load(name: str, folder: str | None) -> Workload:
    """Return a workload by its name.

    Args:
        name: One of `WORKLOADS`.
        folder: The folder of Fashion-MNIST's four IDX files, for the workloads that use them.

    Raises:
        ValueError: If there is no such workload, or if it needs the folder and there is none.
    """
    if name not in WORKLOADS:
        raise ValueError(f"Invalid workload: {name!r} (it must be one of {list(WORKLOADS)})")
    return WORKLOADS[name](name, folder)


def digits(name: str, _folder: str | None) -> Workload:
    """Return a perceptron on scikit-learn's digits."""
    images = data.digits()
    return _images(name, images, _perceptron((64, 32, 10)), batch_size=16, steps=400)


def fashion_mlp(name: str, folder: str | None) -> Workload:
    """Return a perceptron on Fashion-MNIST's images, halved in size. The name ends with B."""
    batch_size = int(name.rpartition(" ")[2])
    steps = {16: 5000, 256: 600}[batch_size]
    return _images(name, _fashion(folder), _perceptron((196, 128, 10)), batch_size, steps)


def fashion_cnn(name: str, folder: str | None) -> Workload:
    """Return a network of two convolutions on the same images. The name ends with B."""
    batch_size = int(name.rpartition(" ")[2])
    steps = {16: 2000, 256: 300}[batch_size]
    return _images(name, _fashion(folder), _convolutional(), batch_size, steps)


def characters(name: str, _folder: str | None) -> Workload:
    """Return a transformer of two layers on the characters of Python's own reference texts."""
    from pydoc_data import topics  # noqa: PLC0415 (half a megabyte of text that Python ships)

    text = "".join(topics.topics[key] for key in sorted(topics.topics))
    alphabet = {letter: i for i, letter in enumerate(sorted(set(text)))}
    codes = np.array([alphabet[letter] for letter in text], np.int32)
    length, width, heads, depth = 32, 32, 4, 2
    rows = codes[: len(codes) // (length + 1) * (length + 1)].reshape(-1, length + 1)
    # The test samples are whole stretches of the text.
    test = np.arange(len(rows)) // 50 % 10 == 9
    initial, forward = _transformer(len(alphabet), length, width, heads, depth)

    def logits_and_targets(params: Params, batch: Any) -> tuple[jax.Array, jax.Array]:
        (sequences,) = batch
        return forward(params, sequences[:, :-1]), sequences[:, 1:]

    return Workload(
        name,
        initial,
        lambda params, batch: _cross_entropy(*logits_and_targets(params, batch)),
        lambda params, batch: _hits(*logits_and_targets(params, batch)),
        (rows[~test],),
        (rows[test],),
        batch_size=16,
        steps=800,
        seen=1000,  # of 32 characters each
        clip=1.0,
    )


WORKLOADS: dict[str, Callable[[str, str | None], Workload]] = {
    "digits, MLP, 16": digits,
    "Fashion-MNIST, MLP, 16": fashion_mlp,
    "Fashion-MNIST, MLP, 256": fashion_mlp,
    "Fashion-MNIST, CNN, 16": fashion_cnn,
    "Fashion-MNIST, CNN, 256": fashion_cnn,
    "text, transformer, 16": characters,
}


def _fashion(folder: str | None) -> data.Dataset:
    if folder is None:
        raise ValueError("Invalid data: None (Fashion-MNIST's four IDX files are needed)")
    found = data.load(folder)

    def halved(images: np.ndarray) -> np.ndarray:
        n, height, width, _ = images.shape
        return images.reshape(n, height // 2, 2, width // 2, 2, 1).mean(axis=(2, 4))

    return data.Dataset(
        found.name,
        halved(found.train_images[:20_000]),
        found.train_labels[:20_000],
        halved(found.test_images),
        found.test_labels,
    )


def _images(
    name: str,
    dataset: data.Dataset,
    network: tuple[Callable[..., Params], Callable[..., jax.Array]],
    batch_size: int,
    steps: int,
) -> Workload:
    initial, forward = network
    return Workload(
        name,
        initial,
        lambda params, batch: _cross_entropy(forward(params, batch[0]), batch[1]),
        lambda params, batch: _hits(forward(params, batch[0]), batch[1]),
        (dataset.train_images, dataset.train_labels.astype(np.int32)),
        (dataset.test_images, dataset.test_labels.astype(np.int32)),
        batch_size,
        steps,
    )


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)
    return -chosen.mean()


def _hits(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return (logits.argmax(axis=-1) == labels).mean()


def _normal(random: np.random.Generator, *shape: int, gain: float = 2.0) -> np.ndarray:
    """Return normal weights of variance gain/(inputs of a unit)."""
    scale = math.sqrt(gain / math.prod(shape[:-1]))
    return (scale * random.standard_normal(shape)).astype(np.float32)


def _perceptron(
    sizes: Sequence[int],
) -> tuple[Callable[..., Params], Callable[..., jax.Array]]:
    def initial(random: np.random.Generator) -> Params:
        return [
            (_normal(random, into, out), np.zeros(out, np.float32))
            for into, out in itertools.pairwise(sizes)
        ]

    def forward(params: Params, images: jax.Array) -> jax.Array:
        *hidden, (kernel, bias) = params
        x = images.reshape(len(images), -1)
        for weights, offsets in hidden:
            x = jax.nn.relu(x @ weights + offsets)
        return x @ kernel + bias

    return initial, forward


def _convolutional() -> tuple[Callable[..., Params], Callable[..., jax.Array]]:
    def initial(random: np.random.Generator) -> Params:
        shapes = [(3, 3, 1, 8), (3, 3, 8, 16), (4 * 4 * 16, 10)]
        return [(_normal(random, *shape), np.zeros(shape[-1], np.float32)) for shape in shapes]

    def layer(x: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
        """Return the ReLU of a convolution (one matrix product) averaged over 2 × 2 pixels."""
        n, height, width, _ = x.shape
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifted = [x[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
        x = jnp.concatenate(shifted, axis=-1) @ kernel.reshape(-1, kernel.shape[-1]) + bias
        x = jnp.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        x = x.reshape(n, -(-height // 2), 2, -(-width // 2), 2, x.shape[-1]).mean(axis=(2, 4))
        return jax.nn.relu(x)

    def forward(params: Params, images: jax.Array) -> jax.Array:
        first, second, (kernel, bias) = params
        x = layer(layer(images, *first), *second)
        return x.reshape(len(x), -1) @ kernel + bias

    return initial, forward


def _transformer(
    letters: int, length: int, width: int, heads: int, depth: int
) -> tuple[Callable[..., Params], Callable[..., jax.Array]]:
    """Return a decoder with a norm before each part of its blocks and before its last layer."""

    def initial(random: np.random.Generator) -> Params:
        def block() -> dict[str, np.ndarray]:
            return {
                "norm 1": np.ones(width, np.float32),
                "qkv": _normal(random, width, 3 * width, gain=1.0),
                "out": _normal(random, width, width, gain=1.0 / depth),
                "norm 2": np.ones(width, np.float32),
                "up": _normal(random, width, 4 * width),
                "down": _normal(random, 4 * width, width, gain=1.0 / depth),
            }

        return {
            "letters": (0.1 * random.standard_normal((letters, width))).astype(np.float32),
            "places": (0.1 * random.standard_normal((length, width))).astype(np.float32),
            "blocks": [block() for _ in range(depth)],
            "norm": np.ones(width, np.float32),
            "head": _normal(random, width, letters, gain=1.0),
        }

    mask = np.tril(np.ones((length, length), bool))

    def normed(x: jax.Array, gain: jax.Array) -> jax.Array:
        return gain * x * jax.lax.rsqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)

    def attention(x: jax.Array, block: Any) -> jax.Array:
        shape = (*x.shape[:2], 3, heads, width // heads)
        q, k, v = jnp.moveaxis((x @ block["qkv"]).reshape(shape), 2, 0)
        scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) / math.sqrt(width // heads)
        shares = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf))
        return jnp.einsum("nhqk,nkhd->nqhd", shares, v).reshape(x.shape) @ block["out"]

    def forward(params: Params, sequences: jax.Array) -> jax.Array:
        x = params["letters"][sequences] + params["places"]
        for block in params["blocks"]:
            x = x + attention(normed(x, block["norm 1"]), block)
            x = x + jax.nn.gelu(normed(x, block["norm 2"]) @ block["up"]) @ block["down"]
        return normed(x, params["norm"]) @ params["head"]

    return initial, forward
