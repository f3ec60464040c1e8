"""A small run and small images that the tests of the harness share."""

import numpy as np

from benchmarks.harness.data import Dataset
from benchmarks.harness.log import Result
from benchmarks.harness.runs import Record, Run

FRAMEWORKS = ("torch", "keras", "jax")
HYPERPARAMETERS = {
    "indian": {"alpha": 0.5, "beta": 0.1, "initial_speed": 1.0},
    "sgd": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "adamw": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8, "weight_decay": 0.1},
    "adam": {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    "adagrad": {"initial_accumulator_value": 0.1, "epsilon": 1e-8},
}


def run(**changes):
    fields = {
        "framework": "torch",
        "optimizer": "INDIAN",
        "rule": "indian",
        "lr": 0.1,
        "power": 0.25,
        "network": ["conv 3 3", "relu", "max-pool 2", "conv 4 5", "max-pool 2", "dense classes"],
        "batch_size": 8,
        "epochs": 2,
        "seed": 4,
    } | changes
    return Run(**{"hyperparameters": HYPERPARAMETERS[fields["rule"]]} | fields)


def dataset(samples=50, height=7, width=10, channels=2, classes=3):
    """Images that tell their class by where they are bright; no dimension equals another."""
    random = np.random.default_rng(8)
    labels = np.arange(samples) % classes
    images = random.uniform(0, 0.5, (samples, height, width, channels))
    for label in range(classes):
        images[labels == label, :, 3 * label : 3 * label + 3] += 0.5
    images = images.astype(np.float32)
    return Dataset("stripes", images[:40], labels[:40], images[40:], labels[40:])


def result(losses=(2.0, 1.0), accuracies=None, **changes):
    accuracies = accuracies or [0.5] * len(losses)
    records = [
        Record(epoch, loss, accuracy, 0.5 * epoch)
        for epoch, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True))
    ]
    return Result(run(epochs=len(losses) - 1, **changes), "framework 1.0", tuple(records))
