"""A training run as data, and its records: the same run in any framework.

`train` does what is common to all frameworks: it orders the minibatches, and computes the loss and
the accuracy in float64 from the frameworks' logits. The `on_*` modules do the rest. Each has a
class `Trainer`, which holds the networks and optimizers of some runs, and the training images:

* ``Trainer(runs, layers, weights, images, labels)``: PyTorch's and Keras's take one run, JAX's any
  number of runs, each with its own weights;
* ``train(batches)`` makes one optimizer step on each minibatch, (runs, steps, batch_size);
* ``logits(images)`` returns the networks' outputs, (runs, n, classes).

Each also has a class `Trajectory`, which is INDIAN on gradients given as a formula:

* ``Trajectory(start, gradient, hyperparameters)``: the gradient is ``gradient(xp, theta)``, written
  for a namespace ``xp`` with NumPy's names;
* ``go_on(lrs)`` makes a step for each rate in float64, and returns θ.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import networks
from .data import Dataset, minibatches


@dataclass(frozen=True)
class Run:
    """Everything that determines a training run, except the images.

    Attributes:
        framework: "torch", "keras" or "jax".
        optimizer: The optimizer's name in tables and plots.
        rule: One of `RULES`.
        hyperparameters: All hyperparameters of the rule except the step size, by their names in
            `RULES`.
        lr: γ_0, the initial step size.
        power: q of the step sizes γ_0 (k + 1)^(−q); 0 for a constant step size.
        network: See `networks`.
        batch_size: Samples per minibatch.
        epochs: Passes over the training images.
        seed: Determines the initial weights and the order of the minibatches.
    """

    framework: str
    optimizer: str
    rule: str
    hyperparameters: Mapping[str, float]
    lr: float
    power: float
    network: Sequence[str]
    batch_size: int
    epochs: int
    seed: int

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"Invalid rule: {self.rule!r} (it must be one of {list(RULES)})")
        if set(self.hyperparameters) != set(RULES[self.rule]):
            raise ValueError(
                f"Invalid hyperparameters: {dict(self.hyperparameters)} "
                f"({self.rule} takes {list(RULES[self.rule])})"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return the run in the form written as JSON: ``Run(**run.as_dict()) == run``."""
        return dataclasses.asdict(self)

    def shared(self) -> dict[str, Any]:
        """Return the fields that runs made together must share: all but step size and seed."""
        return {k: v for k, v in self.as_dict().items() if k not in ("lr", "seed")}


# Frameworks differ in their defaults (AdaGrad's accumulator starts at 0 in torch, at 0.1 in Keras
# and optax), so a run specifies every hyperparameter.
RULES = {
    "indian": ("alpha", "beta", "initial_speed"),
    "damped sgd": ("momentum", "damping"),
    "damped adamw": ("beta_1", "beta_2", "epsilon", "weight_decay", "damping"),
    "sgd": ("momentum",),
    "nesterov": ("momentum",),
    "adam": ("beta_1", "beta_2", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
}


class Record(NamedTuple):
    """The measurements of a run after an epoch; epoch 0 is the start."""

    epoch: int
    train_loss: float  # J: the mean cross-entropy over all training images
    test_accuracy: float
    seconds: float  # spent in training so far, including the framework's compilation


def train(
    runs: Sequence[Run],
    dataset: Dataset,
    trainer: Callable[..., Any],
) -> Iterator[list[Record]]:
    """Make the runs in the trainer's framework, and yield the records of all runs per epoch.

    A record's seconds are the run's equal share of the time for all.

    Raises:
        ValueError: If the runs differ in more than their step sizes and seeds.
    """
    first, (images, labels) = runs[0], (dataset.train_images, dataset.train_labels)
    for field in first.shared():
        values = [getattr(run, field) for run in runs]
        if any(value != values[0] for value in values):
            raise ValueError(f"Invalid {field}: {values} (runs made together must share it)")
    layers = networks.layers(first.network, images.shape[1:], dataset.classes)
    weights = [networks.initial_weights(layers, run.seed) for run in runs]
    model = trainer(runs, layers, weights, images, labels)
    chunk = max(1000 // len(runs), 1)  # so that all runs' images stay in a processor's cache
    seconds = 0.0
    for epoch in range(first.epochs + 1):
        if epoch > 0:
            orders = [minibatches(len(labels), run.batch_size, run.seed, epoch) for run in runs]
            start = time.perf_counter()
            model.train(np.stack(orders))
            seconds += (time.perf_counter() - start) / len(runs)
        losses, _ = evaluate(model, images, labels, chunk)
        _, accuracies = evaluate(model, dataset.test_images, dataset.test_labels, chunk)
        yield [
            Record(epoch, float(loss), float(accuracy), seconds)
            for loss, accuracy in zip(losses, accuracies, strict=True)
        ]


def evaluate(
    model: Any, images: np.ndarray, labels: np.ndarray, chunk: int = 1000
) -> tuple[Any, Any]:
    """Return the mean cross-entropy and the accuracy of the model on these images.

    A run that has diverged has a loss of NaN or infinity. If the model's logits have further axes
    before (n, classes), as those of a `Trainer` do, the results have the same axes.
    """
    loss = hits = np.zeros(())
    with np.errstate(invalid="ignore", over="ignore"):
        for i in range(0, len(labels), chunk):
            chosen = labels[i : i + chunk]
            logits = np.asarray(model.logits(images[i : i + chunk]), np.float64)
            logits -= logits.max(axis=-1, keepdims=True)
            log_total = np.log(np.exp(logits).sum(axis=-1))
            loss = loss + (log_total - logits[..., np.arange(len(chosen)), chosen]).sum(axis=-1)
            hits = hits + (logits.argmax(axis=-1) == chosen).sum(axis=-1)
    return loss / len(labels), hits / len(labels)
