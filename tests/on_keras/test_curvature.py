"""The curvature of Keras models on the backend in use, and what `suggest_lr` leaves untouched."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from indian_keras import INDIAN
from indian_keras.curvature import largest_curvature, suggest_lr
from tests.on_keras.runs import only_on


def compiled_model() -> tuple[keras.Model, np.ndarray, np.ndarray]:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((6,)),
            keras.layers.Dense(16, kernel_regularizer=keras.regularizers.L2(0.01)),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizer=INDIAN(), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    x = np.random.default_rng(0).standard_normal((32, 6)).astype(np.float32)
    return model, x, np.arange(32) % 3


def global_random_state() -> np.ndarray:
    """Torch's, from which Keras's dropout draws there; elsewhere nothing has such a state."""
    if keras.backend.backend() != "torch":
        return np.zeros(0)
    import torch

    return torch.get_rng_state().numpy()


def test_a_compiled_model_is_left_as_it_was() -> None:
    model, x, y = compiled_model()
    model.evaluate(x, y, verbose=0)  # makes the metrics
    seeds = [layer.seed_generator.state for layer in model.layers if hasattr(layer, "rate")]
    everything = [*model.variables, *model.metrics_variables, *seeds]
    before = [np.array(ops.convert_to_numpy(v)) for v in everything]
    random = global_random_state()

    def loss_fn() -> Any:
        return model.compute_loss(x, y, model(x, training=True))

    found = suggest_lr(loss_fn, model.trainable_variables, alpha=0.5, beta=0.1)
    np.testing.assert_array_equal(global_random_state(), random)
    # The same dropout masks each time, so the same curvature.
    assert largest_curvature(loss_fn, model.trainable_variables) == found.curvature
    assert found.curvature > 0
    for variable, value in zip(everything, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)


def test_frozen_and_unused_variables_do_not_count() -> None:
    used, unused = keras.Variable([1.0] * 2), keras.Variable([1.0] * 30)
    frozen = keras.Variable([1.0] * 2, trainable=False)

    def loss_fn() -> Any:
        return ops.sum(3 * used**2 + 100 * frozen**2)

    found = suggest_lr(loss_fn, [unused, frozen, used])
    assert found.curvature == pytest.approx(6, rel=1e-3)


def test_embeddings_count() -> None:
    table = keras.Variable(np.ones((5, 6)))
    rows = np.array([0, 3, 3, 3])
    # Row 3 is in the sum three times: curvature 2 · 3.
    found = largest_curvature(lambda: ops.sum(ops.take(table, rows, axis=0) ** 2), [table])
    assert found == pytest.approx(6, rel=1e-3)


def test_flat_and_concave_losses_are_warned_of() -> None:
    theta = keras.Variable([1.0] * 30)
    with pytest.warns(UserWarning, match="flat") as caught:
        assert suggest_lr(lambda: ops.sum(theta), [theta], alpha=0.5).limit == 4
    assert [w.filename for w in caught if "flat" in str(w.message)] == [__file__]
    with pytest.warns(UserWarning, match="concave"):
        found = suggest_lr(lambda: -ops.sum((0.1 * theta) ** 2), [theta])
    assert found.curvature == pytest.approx(-0.02, rel=1e-3)


@pytest.mark.parametrize(
    ("loss", "error"),
    [
        (lambda t: t * 1.0, ValueError),
        (lambda t: ops.cast(ops.sum(t), "int32"), ValueError),
        (lambda t: ops.sum(t) * float("nan"), ValueError),
        (lambda t: ops.sum(ops.sqrt(t - 1)), ValueError),
        (lambda _: None, TypeError),
    ],
)
def test_bad_losses_are_refused(loss: Any, error: type[Exception]) -> None:
    theta = keras.Variable([1.0] * 3)
    with pytest.raises(error, match=r"loss|gradient"):
        suggest_lr(lambda: loss(theta), [theta])


def test_bad_variables_are_refused() -> None:
    frozen, empty = keras.Variable(1.0, trainable=False), keras.Variable(np.ones((0, 3)))
    for variables in ([], [frozen], [empty]):
        with pytest.raises(ValueError, match="variables"):
            suggest_lr(lambda: ops.ones(()), variables)
    for variable in (np.ones(3), keras.Variable([1j], dtype="complex64")):
        with pytest.raises(TypeError, match="variables"):
            suggest_lr(lambda: ops.ones(()), [variable])


@pytest.mark.parametrize("kind", ["activity", "add_loss"])
def test_losses_that_layers_add_count(kind: str) -> None:
    """J = mean (w x)² + 50 Σ (w x)²/n: the curvature is that of both."""

    class Adds(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(50 * ops.mean(ops.square(inputs)))
            return inputs

    regularizer = keras.regularizers.L2(50.0) if kind == "activity" else None
    dense = keras.layers.Dense(1, use_bias=False, activity_regularizer=regularizer)
    layers = [dense] if kind == "activity" else [dense, Adds()]
    model = keras.Sequential([keras.Input((1,)), *layers])
    model.compile(INDIAN(), loss="mse")
    x = np.linspace(1, 2, 8, dtype="float32").reshape(8, 1)
    found = largest_curvature(
        lambda: model.compute_loss(x, 0 * x, model(x, training=True)), model.trainable_variables
    )
    # Keras divides an activity's loss by the number of samples, too.
    assert found == pytest.approx(2 * 51 * float(np.mean(x**2)), rel=1e-3)


def test_attention_counts() -> None:
    """On torch its usual kernels have no second derivative."""
    x = np.random.default_rng(0).standard_normal((2, 4, 8)).astype("float32")
    attention = keras.layers.MultiHeadAttention(2, 4)
    attention.build(x.shape, x.shape)

    def loss_fn() -> Any:
        return ops.mean(attention(x, x) ** 2)

    found = largest_curvature(loss_fn, attention.trainable_variables)
    # The bias b of the output alone curves by 2/8 in each of its 8 directions: Σ_j b_j²/8.
    assert found > 0.25


@only_on("torch")
def test_an_outer_autocast_changes_no_weights() -> None:
    """The kink check sees the weights where it looks, not those of the first call."""
    import torch

    theta = keras.Variable(np.ones((4, 4), "float32"))
    x = torch.ones(2, 4)

    def loss_fn() -> Any:
        return (x @ theta.value).float().square().mean()

    plain = suggest_lr(loss_fn, [theta])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = suggest_lr(loss_fn, [theta])
    assert cast.lr == pytest.approx(plain.lr, rel=0.05)


def test_a_model_of_several_outputs_before_its_first_fit() -> None:
    """Keras makes the trackers of its losses when they are first called."""
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in ("a", "b")}
    made = keras.Model(inputs, outputs)
    made.compile(INDIAN(), loss={"a": "mse", "b": "mse"})
    x, y = np.ones((4, 3), "float32"), {name: np.zeros((4, 1)) for name in ("a", "b")}
    found = suggest_lr(
        lambda: made.compute_loss(x, y, made(x, training=True)), made.trainable_variables
    )
    # Each output: (w · 1 + b)², with 2 · 4 as its largest curvature.
    assert found.curvature == pytest.approx(8.0, rel=1e-3)
    made.fit(x, y, verbose=0)
