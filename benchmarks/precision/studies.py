"""What rounding does to the two forms, and what a change of θ from outside does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import networks
from benchmarks.harness.data import Dataset, minibatches
from benchmarks.harness.runs import evaluate
from benchmarks.precision.forms import Rule, Training, Variant

CHUNK = 100  # steps between two reports
OnSteps = Callable[[int], None]


class Study(NamedTuple):
    """What all trainings of a study share."""

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

    def loss(self, training: Training) -> float:
        """Return the mean cross-entropy over the training images, in float64."""
        loss, _ = evaluate(training, self.dataset.train_images, self.dataset.train_labels)
        return loss


def rounding(
    study: Study, variants: list[Variant], rule: Rule, steps: int, seed: int, on_steps: OnSteps
) -> Iterator[dict[str, Any]]:
    """Train every variant from the same weights on the same minibatches.

    Args:
        study: The network and the data.
        variants: The first of them, in float64, is what the others are compared with.
        rule: The hyperparameters.
        steps: How many steps each makes.
        seed: Of the weights and the minibatches.
        on_steps: Called with the number of steps made since the last time.

    Yields:
        For each variant "error", ‖θ − θ_ref‖/‖θ_ref‖ at the end, and "loss", that of the whole
        training set; either may be NaN or infinite.
    """
    batches = study.batches(steps, seed)
    reference = None
    for variant in variants:
        training = study.training(variant, rule, seed)
        for _ in _train(training, batches, CHUNK, on_steps):
            pass
        if reference is None:
            reference = training.theta
        error = np.linalg.norm(training.theta - reference) / np.linalg.norm(reference)
        yield {"error": float(error), "loss": study.loss(training)}


def _train(
    training: Training, batches: np.ndarray, every: int, on_steps: OnSteps
) -> Iterator[None]:
    """Train on the minibatches, and stop after so many of them each time."""
    for start in range(0, len(batches), every):
        chunk = batches[start : start + every]
        training.train(chunk)
        on_steps(len(chunk))
        yield


def outside(
    study: Study,
    form: str,
    rule: Rule,
    changes: list[Mapping[str, Any]],
    plan: Mapping[str, int],
    seed: int,
    on_steps: OnSteps,
) -> Iterator[dict[str, Any]]:
    """Change θ by some δ in mid-run, in float64, and see what the optimizer makes of it.

    Args:
        study: The network and the data.
        form: "psi" or "momentum".
        rule: The hyperparameters; the step size is constant.
        changes: What is done to θ, each in a run of its own: see `changed`.
        plan: The "steps" before the change; the steps that it then makes without gradients, to
            "coast", until nothing moves; and, from the change again, those that "follow" in
            training. θ and the loss are looked at "every" so many steps.
        seed: Of the weights and the minibatches.
        on_steps: Called with the number of steps made since the last time.

    Yields:
        For each change

        * "size": ‖δ‖/‖θ‖;
        * "displacement": ‖d‖/‖δ‖, where θ comes to rest δ + d away from where it would have come
          to rest without the change. A change that leaves the velocity alone has d = 0;
        * "loss before" and "loss after" the change, and the "worst loss" in the steps that follow.
    """
    batches = study.batches(plan["steps"] + plan["follow"], seed)
    every = plan["every"]

    training = study.training(Variant(form, "float64", "float64"), rule, seed)
    thetas = [training.theta]
    for _ in _train(training, batches[: plan["steps"]], every, on_steps):
        thetas.append(training.theta)
    undisturbed = copy.deepcopy(training)
    undisturbed.coast(plan["coast"])
    for change in changes:
        one = copy.deepcopy(training)
        one.theta = changed(thetas, change)
        delta = one.theta - training.theta
        coasting = copy.deepcopy(one)
        coasting.coast(plan["coast"])
        spurious = coasting.theta - undisturbed.theta - delta
        losses = [study.loss(one)]
        for _ in _train(one, batches[plan["steps"] :], every, on_steps):
            losses.append(study.loss(one))
        yield {
            "size": float(np.linalg.norm(delta) / np.linalg.norm(training.theta)),
            "displacement": float(np.linalg.norm(spurious) / np.linalg.norm(delta)),
            "loss before": study.loss(training),
            "loss after": losses[0],
            "worst loss": float(np.max(losses)),
        }


def changed(thetas: Sequence[np.ndarray], change: Mapping[str, Any]) -> np.ndarray:
    """Return what the last of the parameters seen so far become.

    Args:
        thetas: The parameters at intervals, up to now.
        change: Its "kind" is "decay", θ ← (1 − by) θ; "projection", onto the ball with "radius"
            times θ's own norm; or "average", which puts the exponential moving average of what
            was seen, with "momentum", into θ's place.
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
