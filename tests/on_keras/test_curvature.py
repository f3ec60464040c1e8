"""`suggest_lr` on Keras models: what counts in the loss, and what is left untouched."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN, suggest_lr
from tests.on_keras.runs import arrays, assert_same_bits, only_on

X = np.random.default_rng(0).standard_normal((32, 6)).astype("float32")
Y = np.zeros((32, 3))


@pytest.mark.parametrize("is_new", [False, True])
def test_a_compiled_model_is_left_as_it_was(is_new: bool) -> None:
    """Also before its first fit: Keras makes the trackers of its losses when they are called."""
    dropout = keras.layers.Dropout(0.5)
    layers = [keras.layers.BatchNormalization(), dropout, keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((6,)), *layers])
    model.compile(INDIAN(), loss="mse", metrics=["mae"])
    if not is_new:
        model.evaluate(X, Y, verbose=0)
    everything = [*model.variables, *model.metrics_variables, dropout.seed_generator.state]
    before = arrays(everything)

    def suggested() -> Any:
        return suggest_lr(
            lambda: model.compute_loss(X, Y, model(X, training=True)), model.trainable_variables
        )

    # The same dropout masks each time, on torch from its own generator, so the same curvature.
    assert suggested() == suggested()
    assert_same_bits(everything, before)
    model.fit(X, Y, verbose=0)


class Adds(keras.layers.Layer):
    def call(self, inputs: Any) -> Any:
        self.add_loss(ops.mean(ops.square(inputs)))
        return inputs


@pytest.mark.parametrize("adds", [True, False], ids=["add_loss", "activity"])
def test_losses_that_layers_add_count(adds: bool) -> None:
    regularizer = None if adds else keras.regularizers.L2(1.0)
    dense = keras.layers.Dense(1, use_bias=False, activity_regularizer=regularizer)
    model = keras.Sequential([keras.Input((1,)), dense, *([Adds()] if adds else [])])
    model.compile(INDIAN(), loss=lambda y, found: 0 * found[:, 0])
    x = X[:, :1]

    def loss_fn() -> Any:
        return model.compute_loss(x, x, model(x, training=True))

    # It is c w². (Whether an activity's c is a mean over the samples depends on Keras's release.)
    loss, (w,) = float(ops.stop_gradient(loss_fn())), arrays(model.trainable_variables)
    assert loss > 0
    found = suggest_lr(loss_fn, model.trainable_variables)
    assert found.curvature == pytest.approx(2 * loss / w.item() ** 2, rel=1e-3)


def test_embeddings_count_and_frozen_and_unused_variables_do_not() -> None:
    table, unused = keras.Variable(np.ones((5, 6), "float32")), keras.Variable([1.0] * 30)
    frozen = keras.Variable([1.0] * 2, trainable=False)

    def loss_fn() -> Any:
        # Row 3 is in the sum three times.
        rows = ops.take(table, np.array([0, 3, 3, 3]), axis=0)
        return ops.sum(rows**2) + 100 * ops.sum(frozen**2)

    assert suggest_lr(loss_fn, [unused, frozen, table]).curvature == pytest.approx(6, rel=1e-3)


@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.3), ("float16", 0.05)])
def test_differences_are_as_wide_as_16_bits_need(dtype: str, tolerance: float) -> None:
    theta = keras.Variable(np.linspace(-1, 1, 40), dtype=dtype)
    found = suggest_lr(lambda: ops.sum(ops.cast(theta, "float32") ** 2), [theta])
    assert found.curvature == pytest.approx(2, rel=tolerance)


def test_a_flat_loss_without_a_graph_is_warned_of() -> None:
    theta = keras.Variable([1.0] * 30)
    with pytest.warns(UserWarning, match="flat") as caught:
        assert suggest_lr(lambda: ops.ones(()), [theta], alpha=0.5).limit == 4
    assert [w.filename for w in caught if "flat" in str(w.message)] == [__file__]


@pytest.mark.parametrize("loss", [lambda t: t * 1.0, lambda t: ops.sum(ops.sqrt(t - 1)), repr])
def test_bad_losses_are_refused(loss: Any) -> None:
    theta = keras.Variable([1.0] * 3)
    with pytest.raises(TypeError if loss is repr else ValueError, match="loss"):
        suggest_lr(lambda: loss(theta), [theta])


@pytest.mark.parametrize("wrong", [np.ones(3), keras.Variable([1j], dtype="complex64")])
def test_bad_variables_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match="variables"):
        suggest_lr(lambda: ops.ones(()), [wrong])
    with pytest.raises(ValueError, match="Invalid variables"):
        suggest_lr(lambda: ops.ones(()), [keras.Variable(1.0, trainable=False)])


@only_on("torch")
def test_an_outer_autocast_does_not_keep_the_weights_of_another_point() -> None:
    import torch

    theta, x = keras.Variable(np.ones((4, 4), "float32")), torch.ones(2, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = suggest_lr(lambda: (x @ theta.value).float().square().mean(), [theta])
    # In 16 bits the differences are rough. Kept weights would not differ at all.
    assert found.curvature == pytest.approx(2.0, rel=0.5)
