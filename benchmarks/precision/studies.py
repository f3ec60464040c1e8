"""The effects of rounding, and of a change of θ from outside, on the two forms."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import networks
from benchmarks.harness.data import Dataset, minibatches
from benchmarks.harness.runs import evaluate
from benchmarks.precision.forms import Rule, Training, Variant


class Study(NamedTuple):
    """The data, network and batch size that all trainings of a study share."""

    dataset: Dataset
    network: tuple[str, ...]
    batch_size: int

    def training(self, variant: Variant, rule: Rule, seed: int) -> Training:
        images = self.dataset.train_images
        layers = networks.layers(self.network, images.shape[1:], self.dataset.classes)
        weights = networks.initial_weights(layers, seed)
        data = images, self.dataset.train_labels
        return Training(variant, rule, layers, weights, *data, seed)

    def batches(self, steps: int, seed: int) -> np.ndarray:
        """Return the first minibatches of the epochs 1, 2, …: (steps, batch_size)."""
        samples = len(self.dataset.train_labels)
        epochs = -(-steps // (samples // self.batch_size))
        every = [minibatches(samples, self.batch_size, seed, 1 + epoch) for epoch in range(epochs)]
        return np.concatenate(every)[:steps]


def rounding(
    study: Study, variants: list[Variant], rule: Rule, steps: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Train every variant from the same weights on the same minibatches.

    Args:
        study: The network and the data.
        variants: The variants. The first one, in float64, is the reference for the others.
        rule: The hyperparameters.
        steps: The number of steps that each variant makes.
        seed: The seed of the weights and the minibatches.

    Yields:
        For each variant, "error", ‖θ − θ_ref‖/‖θ_ref‖ at the end, and "loss", the loss over the
        whole training set. Either may be NaN or infinite.
    """
    batches = study.batches(steps, seed)
    reference = None
    for variant in variants:
        training = study.training(variant, rule, seed)
        training.train(batches)
        if reference is None:
            reference = training.theta
        error = np.linalg.norm(training.theta - reference) / np.linalg.norm(reference)
        loss, _ = evaluate(training, study.dataset.train_images, study.dataset.train_labels)
        yield {"error": float(error), "loss": float(loss)}


def outside(
    study: Study, form: str, rule: Rule, plan: Mapping[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Change θ by some δ in mid-run, in float64, and measure the optimizer's response.

    Args:
        study: The network and the data.
        form: "psi" or "momentum".
        rule: The hyperparameters; the step size is constant.
        plan: The "changes" of θ, each made in a separate run: see `changed`. The numbers of steps:
            "steps" before the change; "coast", without gradients after the change, until nothing
            moves; and "every", the interval at which θ is recorded.
        seed: The seed of the weights and the minibatches.

    Yields:
        For each change, "displacement": ‖d‖/‖δ‖. The change moves the point at which θ comes to
        rest by δ + d. A change that leaves the velocity unchanged has d = 0.
    """
    batches = study.batches(plan["steps"], seed)
    training = study.training(Variant(form, "float64", "float64"), rule, seed)
    thetas = [training.theta]
    for start in range(0, len(batches), plan["every"]):
        training.train(batches[start : start + plan["every"]])
        thetas.append(training.theta)
    undisturbed = copy.deepcopy(training)
    undisturbed.coast(plan["coast"])
    for change in plan["changes"]:
        one = copy.deepcopy(training)
        one.theta = changed(thetas, change)
        delta = one.theta - training.theta
        one.coast(plan["coast"])
        spurious = one.theta - undisturbed.theta - delta
        yield {"displacement": float(np.linalg.norm(spurious) / np.linalg.norm(delta))}


def changed(thetas: Sequence[np.ndarray], change: Mapping[str, Any]) -> np.ndarray:
    """Return the changed parameters.

    Args:
        thetas: The parameters at intervals. The last are the current ones, θ.
        change: Its "kind" is "decay", θ ← (1 − by) θ; "projection", onto the ball whose radius is
            "radius" times θ's own norm; or "average", which replaces θ with the exponential moving
            average of `thetas` with "momentum".
    """
    match change["kind"]:
        case "decay":
            return (1 - change["by"]) * thetas[-1]
        case "projection":
            return min(1.0, change["radius"]) * thetas[-1]
        case "average":
            average = thetas[0]
            for theta in thetas[1:]:
                average = change["momentum"] * average + (1 - change["momentum"]) * theta
            return average
    raise ValueError(f"Invalid change: {change['kind']!r}")
