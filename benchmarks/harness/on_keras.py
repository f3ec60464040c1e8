"""A run in Keras 3, on the backend that KERAS_BACKEND names, with `model.fit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from indian_keras import INDIAN, INNAprop, PowerDecay

from .networks import Layer, Weights
from .runs import Run

VERSIONS = f"keras {keras.__version__} on {keras.backend.backend()}"


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
        keras.utils.set_random_seed(run.seed)  # for dropout
        self.model = network(layers, weights)
        self.model.compile(
            optimizer=optimizer(run),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self.images, self.labels = images, labels

    def train(self, batches: np.ndarray, on_step: Callable[[], None]) -> None:
        order = batches.ravel()
        self.model.fit(
            self.images[order],
            self.labels[order],
            batch_size=batches.shape[1],
            shuffle=False,
            verbose=0,
            callbacks=[_EachStep(on_step)],
        )

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.model.predict_on_batch(images)


class _EachStep(keras.callbacks.Callback):
    def __init__(self, on_step: Callable[[], None]) -> None:
        super().__init__()
        self._on_step = on_step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        self._on_step()


def optimizer(run: Run) -> keras.optimizers.Optimizer:
    h = run.hyperparameters
    learning_rate = PowerDecay(run.lr, power=run.power)
    match run.rule:
        case "indian":
            return INDIAN(learning_rate, h["alpha"], h["beta"], h["initial_speed"])
        case "indian from_sgd":
            return _on_schedule(INDIAN.from_sgd(run.lr, h["momentum"], damping=h["damping"]), run)
        case "innaprop from_adam":
            return _on_schedule(INNAprop.from_adam(run.lr, **h), run)
        case "sgd" | "nesterov":
            return keras.optimizers.SGD(learning_rate, h["momentum"], run.rule == "nesterov")
        case "adam":
            return keras.optimizers.Adam(learning_rate, h["beta_1"], h["beta_2"], h["epsilon"])
        case "adamw":
            return keras.optimizers.AdamW(
                learning_rate, h["weight_decay"], h["beta_1"], h["beta_2"], h["epsilon"]
            )
        case "adagrad":
            return keras.optimizers.Adagrad(
                learning_rate, h["initial_accumulator_value"], h["epsilon"]
            )
    raise ValueError(f"Invalid rule: {run.rule!r}")


def _on_schedule(optimizer: keras.optimizers.Optimizer, run: Run) -> keras.optimizers.Optimizer:
    if run.power:
        optimizer.learning_rate = PowerDecay(float(optimizer.learning_rate), power=run.power)
    return optimizer


def network(layers: Sequence[Layer], weights: Weights) -> keras.Sequential:
    model = keras.Sequential([keras.Input(layers[0].input_shape)])
    for layer in layers:
        match layer.kind:
            case "pad-to":
                model.add(keras.layers.ZeroPadding2D(layer.padding, data_format="channels_last"))
            case "conv" | "valid-conv":
                padding = "same" if layer.kind == "conv" else "valid"
                model.add(
                    keras.layers.Conv2D(
                        *layer.numbers, padding=padding, data_format="channels_last"
                    )
                )
            case "dropout":
                model.add(keras.layers.Dropout(layer.numbers[0] / 100))
            case "relu":
                model.add(keras.layers.ReLU())
            case "tanh":
                model.add(keras.layers.Activation("tanh"))
            case "max-pool":
                model.add(keras.layers.MaxPooling2D(*layer.window, data_format="channels_last"))
            case "mean-pool":
                model.add(keras.layers.AveragePooling2D(*layer.window, data_format="channels_last"))
            case "dense":
                if len(layer.input_shape) == 3:
                    model.add(keras.layers.Flatten(data_format="channels_last"))
                model.add(keras.layers.Dense(layer.numbers[0]))
    model.set_weights([array for pair in weights for array in pair])
    return model
