"""A run in Keras 3, on the backend that KERAS_BACKEND names, with `model.fit`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from indian_keras import INDIAN, DampedAdamW, DampedSGD, PowerDecay

from .networks import Layer, Weights
from .runs import Run

VERSIONS = f"keras {keras.__version__} on {keras.backend.backend()}"


class Trainer:
    """See `runs`."""

    def __init__(
        self,
        runs: Sequence[Run],
        layers: Sequence[Layer],
        weights: Sequence[Weights],
        images: np.ndarray,
        labels: np.ndarray,
    ) -> None:
        (run,) = runs  # one at a time
        self.model = network(layers, *weights)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(optimizer(run), loss)
        self.images, self.labels = images, labels

    def train(self, batches: np.ndarray) -> None:
        order = batches.ravel()
        data = self.images[order], self.labels[order]
        self.model.fit(*data, batch_size=batches.shape[-1], shuffle=False, verbose=0)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.model.predict_on_batch(images)[None]


class Trajectory:
    """See `runs`. The steps of one call to `go_on` are one program if Keras compiles."""

    def __init__(
        self, start: np.ndarray, gradient: Callable[..., Any], hyperparameters: Mapping[str, float]
    ) -> None:
        # Keras stores a learning rate in its global float type.
        before = keras.config.floatx()
        keras.config.set_floatx("float64")
        theta = self._theta = keras.Variable(start)
        optimizer = INDIAN(1.0, **hyperparameters)
        optimizer.build([theta])
        keras.config.set_floatx(before)

        def step(lr: Any) -> None:
            optimizer._learning_rate.assign(lr)
            optimizer.apply([gradient(ops, ops.convert_to_tensor(theta))], [theta])

        self._steps = _repeated(step, [theta, *optimizer.variables])

    def go_on(self, lrs: np.ndarray) -> np.ndarray:
        self._steps(ops.convert_to_tensor(lrs, "float64"))
        return np.array(ops.convert_to_numpy(self._theta.value))


RULES: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "indian": INDIAN,
    "damped sgd": DampedSGD,
    "damped adamw": DampedAdamW,
    "sgd": keras.optimizers.SGD,
    "nesterov": functools.partial(keras.optimizers.SGD, nesterov=True),
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "adagrad": keras.optimizers.Adagrad,
}


def optimizer(run: Run) -> keras.optimizers.Optimizer:
    """Return the run's optimizer. The names in a run are Keras's own."""
    found = RULES[run.rule](run.lr, **run.hyperparameters)
    if run.power:
        found.learning_rate = PowerDecay(float(found.learning_rate), power=run.power)
    return found


def network(layers: Sequence[Layer], weights: Weights) -> keras.Sequential:
    """Return the network, which takes images in NumPy's layout."""
    keras.config.set_image_data_format("channels_last")
    model = keras.Sequential([keras.Input(layers[0].input_shape)])
    for layer in layers:
        match layer.kind:
            case "conv" | "valid-conv":
                padding = "same" if layer.kind == "conv" else "valid"
                model.add(keras.layers.Conv2D(*layer.numbers, padding=padding))
            case "dense":
                if len(layer.input_shape) == 3:
                    model.add(keras.layers.Flatten())
                model.add(keras.layers.Dense(layer.numbers[0]))
            case "max-pool":
                model.add(keras.layers.MaxPooling2D(*layer.numbers))
            case "mean-pool":
                model.add(keras.layers.AveragePooling2D(*layer.numbers))
            case activation:
                model.add(keras.layers.Activation(activation))
    model.set_weights([array for pair in weights for array in pair])
    return model


def _repeated(step: Callable[..., None], variables: Sequence[Any]) -> Callable[..., None]:
    """Return a function that calls ``step`` with each of some rates, one program where possible.

    Args:
        step: A function that changes the variables and nothing else.
        variables: All variables that `step` reads and writes.
    """

    def eager(lrs: Any) -> None:
        for lr in lrs:
            step(lr)

    def scanned(values: Any, lr: Any) -> Any:
        with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
            step(lr)
        return [scope.get_current_value(variable) for variable in variables], None

    def on_jax(lrs: Any) -> None:
        values, _ = program([variable.value for variable in variables], lrs)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf  # noqa: PLC0415 (needed on this backend only)

            return tf.function(eager, jit_compile=True)
        case "jax":
            import jax  # noqa: PLC0415

            program = jax.jit(functools.partial(jax.lax.scan, scanned))
            return on_jax
    return eager
