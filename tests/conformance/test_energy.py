"""The energy of every adapter is 2 (1 + αβ) J + ‖w‖², and that of a start from rest at first."""

from __future__ import annotations

import numpy as np
import pytest

from indian_core import momentum_from_psi
from tests.conformance.test_conformance import SCALED, on, run_open_loop, start
from tests.conformance.trajectories import Trajectory


@on("alpha=0.5 beta=0.1 lr=0.5/(k+1)^0.5 s=1.0", "weight decay", SCALED)
def test_energy(driver: type, variant: str, trajectory: Trajectory) -> None:
    run = start(driver, trajectory, variant, "float64")
    numbers = trajectory.settings.hyperparameters
    alpha, beta = numbers["alpha"], numbers["beta"]
    assert run.energy(3.0) == pytest.approx(2 * (1 + alpha * beta) * 3.0, rel=1e-12)
    point = trajectory.checkpoints[1]
    run_open_loop(run, trajectory, 0, point.step)
    momentum = [
        momentum_from_psi(theta, psi, alpha, beta)
        for theta, psi in zip(point.theta, point.hidden, strict=True)
    ]
    kinetic = sum(float(np.sum(w**2)) for w in momentum)
    assert run.energy(3.0) == pytest.approx(2 * (1 + alpha * beta) * 3.0 + kinetic, rel=1e-11)
