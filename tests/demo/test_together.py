"""Runs made at once: each is the run that it would be alone."""

import dataclasses

import jax
import numpy as np
import pytest

from benchmarks.harness import banded, on_jax, runs

from .small import HYPERPARAMETERS, dataset, run

jax_run = dataclasses.replace(run(), framework="jax", lr=0.05)
SMOOTH = ["conv 3 3", "mean-pool 2", "tanh", "valid-conv 4 3", "tanh", "dense classes"]


def made(together, images):
    """Make runs at once, and return the records of each."""
    return zip(*runs.train(together, images, on_jax.Trainer), strict=True)


@pytest.mark.parametrize("rule", ["indian", "adamw"])
def test_each_run_is_the_one_it_would_be_alone(rule):
    """They differ in step size and seed; the images, of two channels, take the banded form."""
    first = dataclasses.replace(
        jax_run, rule=rule, hyperparameters=HYPERPARAMETERS[rule], network=SMOOTH
    )
    several = [first, dataclasses.replace(first, lr=0.02), dataclasses.replace(first, seed=7)]
    images = dataset()
    for one, records in zip(several, made(several, images), strict=True):
        (alone,) = made([one], images)
        assert [record.epoch for record in records] == [record.epoch for record in alone]
        for field in ("train_loss", "test_accuracy"):
            np.testing.assert_allclose(
                [getattr(record, field) for record in records],
                [getattr(record, field) for record in alone],
                rtol=2e-5,
            )


@pytest.mark.parametrize("change", [{"batch_size": 4}, {"power": 0.0}, {"epochs": 1}])
def test_runs_that_cannot_be_made_together_are_refused(change):
    (name,) = change
    with pytest.raises(ValueError, match=f"Invalid {name}"):
        list(made([jax_run, run(framework="jax", **change)], dataset()))


@pytest.mark.parametrize(("size", "pool"), [(1, 2), (3, 1), (3, 3), (4, 2)])
def test_the_banded_product_is_the_convolution_and_the_mean(size, pool):
    """No two dimensions are equal, and some rows and columns fill no window."""
    random = np.random.default_rng(5)
    x = random.standard_normal((2, 9, 12, 3), np.float32)
    kernel = random.standard_normal((size, size, 3, 5), np.float32)
    expected = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    window = (1, pool, pool, 1)
    expected = jax.lax.reduce_window(expected, 0.0, jax.lax.add, window, window, "VALID") / pool**2
    np.testing.assert_allclose(banded.convolution(x, kernel, pool), expected, rtol=1e-4, atol=1e-5)
