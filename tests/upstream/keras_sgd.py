"""A pytest plugin for Keras's own tests: INDIAN as SGD.

With α = β = 1 it is gradient descent, number for number. With momentum it is `INDIAN.from_sgd`.
"""

from __future__ import annotations

from typing import Any

import keras
from keras.src import optimizers
from keras.src.optimizers import sgd

from indian_keras import INDIAN


@keras.saving.register_keras_serializable("upstream")
class SGD(INDIAN):  # type: ignore[misc]
    """Gradient descent, as an INDIAN."""

    def __new__(cls, *args: Any, **kwargs: Any) -> SGD:
        # On torch, Keras would put a class of its own in the place of one that is called SGD.
        return object.__new__(cls)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        alpha: float = 1.0,
        beta: float = 1.0,
        initial_speed: float = 1.0,
        name: str = "SGD",
        **kwargs: Any,
    ) -> None:
        if momentum:
            found = INDIAN.from_sgd(
                learning_rate, momentum, nesterov, weight_decay=kwargs.pop("weight_decay", None)
            )
            learning_rate, alpha, beta = float(found.learning_rate), found.alpha, found.beta
            initial_speed = beta
            kwargs |= {"weight_decay": found.weight_decay, "reference_lr": found.reference_lr}
        super().__init__(learning_rate, alpha, beta, initial_speed, name=name, **kwargs)


for module in (keras.optimizers, optimizers, sgd):
    module.SGD = SGD
