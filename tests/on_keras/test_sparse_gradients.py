"""Sparse gradients of an Embedding: the step is that of the dense gradient."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from indian_keras import INDIAN
from tests.on_keras.runs import BACKEND, assert_close, only_on

ROWS = np.array([3, 1, 3])
VALUES = np.arange(6.0, dtype="float32").reshape(3, 2)


def sparse() -> Any:
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.IndexedSlices(tf.constant(VALUES), tf.constant(ROWS), tf.constant([5, 2]))
    from jax.experimental import sparse as jax_sparse

    return jax_sparse.BCOO((VALUES, ROWS[:, None]), shape=(5, 2))


@only_on("tensorflow", "jax")
def test_a_sparse_gradient_makes_the_step_of_the_dense_one() -> None:
    dense = np.zeros((5, 2), "float32")
    np.add.at(dense, ROWS, VALUES)
    start = np.random.default_rng(0).standard_normal((5, 2)).astype("float32")
    theta, other = keras.Variable(start), keras.Variable(start)
    ours, reference = INDIAN(0.25), INDIAN(0.25)
    for _ in range(3):
        ours.apply([sparse()], [theta])
        reference.apply([ops.convert_to_tensor(dense)], [other])
    assert_close([theta], [ops.convert_to_numpy(other.value)], 1e-6)


@only_on("tensorflow", "jax")
def test_an_embedding_with_sparse_gradients_trains() -> None:
    made = keras.Sequential(
        [keras.layers.Embedding(20, 4), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    made.compile(optimizer=INDIAN(0.1, alpha=0.5, beta=0.2), loss="mse")
    tokens = np.arange(40).reshape(20, 2) % 20
    targets = (tokens[:, :1] > 9).astype("float32")
    history = made.fit(tokens, targets, epochs=30, batch_size=5, shuffle=False, verbose=0)
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
