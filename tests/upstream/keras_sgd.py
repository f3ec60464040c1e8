"""A pytest plugin for Keras's own tests: DampedSGD as SGD, which it is without a damping."""

from __future__ import annotations

from typing import Any

import keras
from keras.src import optimizers
from keras.src.optimizers import sgd

from indian_keras import DampedSGD


@keras.saving.register_keras_serializable("upstream")
class SGD(DampedSGD):  # type: ignore[misc]
    """SGD, as a DampedSGD."""

    def __new__(cls, *args: Any, **kwargs: Any) -> SGD:
        # On torch, Keras would put a class of its own in the place of one that is called SGD.
        return object.__new__(cls)

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, **kwargs: Any) -> None:
        kwargs.setdefault("name", "SGD")
        super().__init__(learning_rate, momentum, **kwargs)


for module in (keras.optimizers, optimizers, sgd):
    module.SGD = SGD
