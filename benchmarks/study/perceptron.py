"""A perceptron on scikit-learn's digits, for the comparison of what is not tuned."""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import numpy as np

from benchmarks.harness import data
from benchmarks.study.training import Workload, cross_entropy

SIZES = (64, 32, 10)
BATCH = 16
HELD_OUT = 200  # of the training images, for validation


def load(_folder: str | None = None) -> Workload:
    found = data.digits()
    images = found.train_images.reshape(len(found.train_images), -1)
    labels = found.train_labels.astype(np.int32)
    train = (images[:-HELD_OUT], labels[:-HELD_OUT])
    test = found.test_images.reshape(len(found.test_images), -1)

    def batches(seed: int, steps: int) -> np.ndarray:
        random = np.random.default_rng((seed, 2))
        epochs = 1 + steps * BATCH // len(train[0])
        orders = [random.permutation(len(train[0])) for _ in range(epochs)]
        return np.concatenate(orders)[: steps * BATCH].reshape(steps, BATCH)

    return Workload(
        name="perceptron",
        data="scikit-learn's digits",
        initial=lambda seed: (_initial(seed), ()),
        loss=_loss,
        train=train,
        measured={
            "train": train,
            "validation": (images[-HELD_OUT:], labels[-HELD_OUT:]),
            "test": (test, found.test_labels.astype(np.int32)),
        },
        batches=batches,
    )


def _initial(seed: int) -> Any:
    random = np.random.default_rng((seed, 1))
    return [
        (
            math.sqrt(2 / into) * random.standard_normal((into, out)).astype(np.float32),
            np.zeros(out, np.float32),
        )
        for into, out in itertools.pairwise(SIZES)
    ]


def _loss(
    params: Any, statistics: Any, batch: Any, _training: bool
) -> tuple[jax.Array, tuple[Any, jax.Array]]:
    x, labels = batch
    *hidden, (kernel, bias) = params
    for weights, offsets in hidden:
        x = jax.nn.relu(x @ weights + offsets)
    value, right = cross_entropy(x @ kernel + bias, labels)
    return value, (statistics, right)
