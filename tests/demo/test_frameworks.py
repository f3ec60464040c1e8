"""The frameworks' halves of a run: the same network, the same optimizers, on the same path."""

import importlib
import math

import numpy as np
import pytest

from benchmarks.harness import networks, runs

from .small import FRAMEWORKS, HYPERPARAMETERS, dataset, run


def trainer(framework):
    return importlib.import_module(f"benchmarks.harness.on_{framework}").Trainer


def records_of(one, images):
    """Make a run, and return its record after each epoch."""
    (records,) = zip(*runs.train([one], images, trainer(one.framework)), strict=True)
    return records


@pytest.mark.parametrize(("activation", "pool"), [("relu", "max-pool"), ("tanh", "mean-pool")])
def test_the_frameworks_agree_on_every_layer(activation, pool):
    """Each has its own, which nobody here wrote. No two dimensions are equal: transposes show."""
    words = ["conv 3 3", activation, f"{pool} 2", "valid-conv 4 3", f"{pool} 2", "dense classes"]
    images = dataset(height=9, width=14)
    layers = networks.layers(words, images.train_images.shape[1:], images.classes)
    weights = [
        (kernel, np.linspace(-1, 1, len(bias), dtype=np.float32))
        for kernel, bias in networks.initial_weights(layers, seed=0)
    ]
    data = images.train_images, images.train_labels
    logits = [
        trainer(each)([run(framework=each)], layers, [weights], *data).logits(images.test_images)
        for each in FRAMEWORKS
    ]
    assert logits[0].std() > 0.1
    for other in logits[1:]:
        np.testing.assert_allclose(other, logits[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_run_learns_and_reports_every_epoch(framework):
    records = records_of(run(framework=framework, epochs=8, lr=0.2), dataset())
    assert [record.epoch for record in records] == list(range(9))
    assert records[0].seconds == 0 < records[1].seconds < records[8].seconds
    assert records[8].train_loss < 0.5 * records[0].train_loss
    assert records[8].test_accuracy >= 0.8


@pytest.mark.parametrize("rule", HYPERPARAMETERS)
def test_the_frameworks_agree_on_every_rule(rule):
    """Each has its own SGD, AdamW, Adam and Adagrad, and its own schedule."""
    # Keras takes the momentum of the steps, the others of the gradients: equal at constant γ.
    power = 0.0 if rule in ("sgd", "nesterov") else 0.25
    fields = {"rule": rule, "power": power, "lr": 0.02 if "adam" in rule else 0.1}
    if rule != "indian":  # One convolution is enough.
        fields["network"] = ["dense classes"]
    losses = [
        [record.train_loss for record in records_of(run(framework=name, **fields), dataset())]
        for name in FRAMEWORKS
    ]
    assert abs(losses[0][-1] - losses[0][0]) > 0.01
    for other in losses[1:]:
        # float32, in which Keras also computes 1 − beta_2^k, which has few digits at first.
        np.testing.assert_allclose(other, losses[0], rtol=2e-4)


def test_an_unknown_rule_is_refused_before_training():
    with pytest.raises(ValueError, match="newton"):
        runs.Run(**run().as_dict() | {"rule": "newton"})


@pytest.mark.parametrize("hyperparameters", [{}, {"momentum": 0.9, "nesterov": 1.0}])
def test_missing_and_extra_hyperparameters_are_refused(hyperparameters):
    with pytest.raises(ValueError, match="hyperparameters"):
        run(rule="sgd", hyperparameters=hyperparameters)


class Fixed:
    """A trainer whose network always answers the same."""

    def __init__(self, logits):
        self._logits = np.asarray(logits, np.float32)

    def logits(self, images):
        return self._logits[: len(images)]


def test_loss_and_accuracy_are_the_definitions():
    model = Fixed([[0, math.log(3)], [0, math.log(3)]])
    loss, accuracy = runs.evaluate(model, np.zeros((2, 1)), np.array([1, 0]))
    assert loss == pytest.approx((math.log(4 / 3) + math.log(4)) / 2, rel=1e-7)
    assert accuracy == 0.5


def test_large_logits_do_not_overflow_and_chunks_do_not_matter():
    model, images, labels = Fixed([[1e4, 0]] * 3), np.zeros((7, 1)), np.array([0] * 6 + [1])
    loss, accuracy = runs.evaluate(model, images, labels, chunk=3)
    assert loss == pytest.approx(1e4 / 7)
    assert accuracy == pytest.approx(6 / 7)


def test_a_diverged_network_has_no_finite_loss():
    loss, _ = runs.evaluate(Fixed([[np.nan, np.inf]]), np.zeros((1, 1)), np.array([0]))
    assert not math.isfinite(loss)
