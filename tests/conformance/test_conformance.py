"""Every method of every adapter, in every variant, against the reference trajectories."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from indian_core import METHODS
from indian_core.testing import Driver, closed_loop
from tests.conformance.compare import (
    FLOAT64,
    UNIT_ROUNDOFF_32,
    assert_at,
    assert_same_bits,
    hidden,
    relative_error,
)
from tests.conformance.trajectories import CLOSED_LOOP, OPEN_LOOP, Trajectory

Record = Callable[[str, str, float], None]

DEFAULT = "alpha=0.5 beta=0.1 lr=0.1/(k+1)^0.0 s=1.0"
DECAYING = "alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.5 s=1.0"
REST = "alpha=0.5 beta=0.1 lr=0.2/(k+1)^0.25 s=0.1"
SCALED = "INNAprop, damping 0.3"
SGD_EDITS, ADAMW_EDITS = "DampedSGD, edits", "DampedAdamW, edits"


def on(*names: str) -> Callable[[Any], Any]:
    """Run a test on the trajectories of these names."""

    def marked(test: Any) -> Any:
        test.trajectories = names
        return test

    return marked


def start(driver: type, trajectory: Trajectory, variant: str, dtype: str) -> Driver:
    return driver(trajectory.theta_0, trajectory.settings, variant, dtype)


def run_open_loop(run: Driver, trajectory: Trajectory, first: int, last: int) -> None:
    for k in range(first, last):
        run.step(trajectory.gradients[k])


def float32_open_loop_bound(trajectory: Trajectory, steps: int) -> float:
    # Each step rounds the gradient, its products with the coefficients, and the sums: at most
    # four roundings in w and four in θ, each at most one unit roundoff of the largest value on
    # the way, and with |1 − αγ| ≤ 1 none of them grows. θ integrates w, but over a time Σγ of
    # less than ten, which the eight of the bound covers for the scale that w and θ share here.
    # V rounds by half a unit at each of its steps and forgets 1 − σ of it: u is off by a quarter of
    # a unit over 1 − σ, and θ by as much of the way it has come.
    numbers = trajectory.settings.hyperparameters
    sigma = numbers.get("sigma", numbers.get("beta_2", 0.0))
    return (8 * (steps + 1) + 0.5 / (1 - sigma)) * UNIT_ROUNDOFF_32


def test_open_loop(
    driver: type, variant: str, open_loop: Trajectory, dtype: str, record_error: Record
) -> None:
    run = start(driver, open_loop, variant, dtype)
    done = 0
    for checkpoint in open_loop.checkpoints:
        run_open_loop(run, open_loop, done, checkpoint.step)
        done = checkpoint.step
        assert_at(
            run,
            open_loop,
            checkpoint,
            FLOAT64 if dtype == "float64" else float32_open_loop_bound(open_loop, checkpoint.step),
            lambda what, e: record_error(variant, f"{what}, open loop, {dtype}", e),
        )


def test_closed_loop(
    driver: type, variant: str, closed_loop: Trajectory, dtype: str, record_error: Record
) -> None:
    run = start(driver, closed_loop, variant, dtype)
    done, points, bound = 0, closed_loop.checkpoints, FLOAT64
    if dtype == "float32":
        # Every step is a perturbation of a few roundings, each of which the dynamics then carry on
        # as they carry on a change of θ_0.
        steps = len(closed_loop.settings.lrs)
        points, bound = points[-1:], 8 * steps * UNIT_ROUNDOFF_32 * sensitivity(closed_loop)
    for checkpoint in points:
        for k in range(done, checkpoint.step):
            run.step_on(closed_loop.problem, k)
        done = checkpoint.step
        assert_at(
            run,
            closed_loop,
            checkpoint,
            bound,
            lambda what, e: record_error(variant, f"{what}, closed loop, {dtype}", e),
        )


def sensitivity(trajectory: Trajectory) -> float:
    """Return how much a relative change of θ_0 has grown by the end, in θ and beside it."""
    change = 1e-7
    signs = np.random.default_rng(0)
    moved = [t + change * signs.choice([-1, 1], t.shape) for t in trajectory.theta_0]
    points = closed_loop(trajectory.reference(moved), trajectory.problem, trajectory.settings.lrs)
    *_, end = points
    last = trajectory.checkpoints[-1]
    growth = relative_error(end.theta, last.theta)
    if last.hidden is not None:
        growth = max(growth, relative_error(end.hidden, last.hidden))
    return max(1.0, growth / change)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@on(
    *(DEFAULT, DECAYING, REST, "weight decay", SCALED, "INNAprop, the authors' weight decay"),
    *(SGD_EDITS, ADAMW_EDITS),
)
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    driver: type, variant: str, trajectory: Trajectory, dtype: str
) -> None:
    last = trajectory.checkpoints[-1].step
    run = start(driver, trajectory, variant, dtype)
    saved = {}
    for k in range(last):
        if k in (0, 1, 23):
            saved[k] = run.save()
        run.step(trajectory.gradients[k])
    elsewhere = dataclasses.replace(trajectory, theta_0=[t + 1 for t in trajectory.theta_0])
    for k, checkpoint in saved.items():
        resumed = start(driver, elsewhere, variant, dtype)
        resumed.load(checkpoint)
        run_open_loop(resumed, trajectory, k, last)
        assert_same_bits(resumed.theta(), run.theta())
        assert_same_bits(hidden(resumed, trajectory.method), hidden(run, trajectory.method))


@on(DECAYING, SCALED, SGD_EDITS, ADAMW_EDITS)
def test_a_run_goes_on_in_every_other_variant(
    driver: type, variant: str, trajectory: Trajectory
) -> None:
    end = trajectory.checkpoints[-1]
    run = start(driver, trajectory, variant, "float64")
    run_open_loop(run, trajectory, 0, 20)
    checkpoint = run.save()
    slow, own = getattr(driver, "slow_variants", ()), getattr(driver, "own_states", ())
    others = () if variant in own else set(driver.variants) - {*slow, *own}
    for other in {variant, *others}:
        run = start(driver, trajectory, other, "float64")
        run.load(checkpoint)
        run_open_loop(run, trajectory, 20, end.step)
        assert_at(run, trajectory, end, FLOAT64)


@pytest.mark.parametrize("handover", [1, 20])
@on(DEFAULT, DECAYING, "alpha lr = 1", "alpha lr = 1 on the way")
def test_psi_out_and_in_continues_the_trajectory(
    driver: type, variant: str, trajectory: Trajectory, handover: int
) -> None:
    checkpoint = next(c for c in trajectory.checkpoints if c.step == handover)
    rest = dataclasses.replace(trajectory.settings, lrs=trajectory.settings.lrs[handover:])
    # A new optimizer, which has made no step: ψ given to it stands, and is not begun anew.
    run: Driver = driver(checkpoint.theta, rest, variant, "float64")
    run.set_psi(checkpoint.hidden)
    assert relative_error(run.psi(), checkpoint.hidden) <= FLOAT64
    end = trajectory.checkpoints[-1]
    run_open_loop(run, trajectory, handover, end.step)
    assert_at(run, trajectory, end, FLOAT64)


@on(DECAYING, SCALED)
def test_psi_set_in_mid_run(driver: type, variant: str, trajectory: Trajectory) -> None:
    end = trajectory.checkpoints[-1]
    run = start(driver, trajectory, variant, "float64")
    run_open_loop(run, trajectory, 0, 20)
    psi = run.psi()
    run.set_psi([p + 1 for p in psi])
    assert relative_error(run.psi(), [p + 1 for p in psi]) <= FLOAT64
    run.set_psi(psi)
    run_open_loop(run, trajectory, 20, end.step)
    assert_at(run, trajectory, end, FLOAT64)


@on(DECAYING, "INNAprop, its paper's", "DampedSGD, damping 0.3", "DampedAdamW, the Adam point")
def test_parameters_changed_from_outside_gain_no_velocity(
    driver: type, variant: str, trajectory: Trajectory
) -> None:
    """Moving θ by δ moves the rest of the trajectory by δ: w has no notion of θ.

    (ψ has: left alone, it would turn δ into a velocity (1/β − α) δ.)
    """
    last = trajectory.checkpoints[-1]
    run = start(driver, trajectory, variant, "float64")
    run_open_loop(run, trajectory, 0, 20)
    run.set_theta([t + 1 for t in run.theta()])
    run_open_loop(run, trajectory, 20, last.step)
    shrinkage = 1.0
    for lr in trajectory.settings.lrs[20 : last.step]:
        shrinkage *= 1 - lr * trajectory.settings.hyperparameters.get("weight_decay", 0.0)
    assert relative_error(run.theta(), [t + shrinkage for t in last.theta]) <= FLOAT64


@on("weight decay", "INNAprop, weight decay", SGD_EDITS, ADAMW_EDITS)
def test_gradients_are_left_as_they_are(driver: type, variant: str, trajectory: Trajectory) -> None:
    run = start(driver, trajectory, variant, "float64")
    assert_same_bits(run.step(trajectory.gradients[0]), trajectory.gradients[0])


def test_every_method_of_the_table_is_here_and_has_trajectories(driver: type) -> None:
    """A method that is added to the table and not to an adapter, or not to the files, fails."""
    assert set(driver.methods) == set(METHODS)
    for method in METHODS:
        for kind in (OPEN_LOOP, CLOSED_LOOP):
            assert any(t.method == method and t.is_of(driver) for t in kind), method
