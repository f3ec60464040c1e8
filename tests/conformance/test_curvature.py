"""`suggest_lr` of every adapter: the curvature of known losses, and what follows from it."""

from __future__ import annotations

import numpy as np
import pytest

from indian_core.testing import Problem
from indian_core.tuning import max_lr
from tests.trajectories.generate import problem_by_name

NUMBERS = {"alpha": 0.3, "beta": 0.2, "safety": 0.7}


def of_the_hessian(problem: Problem) -> float:
    """Return the largest eigenvalue of the Hessian, by differences of the gradient."""
    batch = problem.batch(0)
    start = np.concatenate([t.ravel() for t in problem.theta_0])
    ends = np.cumsum([t.size for t in problem.theta_0])[:-1]

    def gradient(flat: np.ndarray) -> np.ndarray:
        parts = np.split(flat, ends)
        theta = [p.reshape(t.shape) for p, t in zip(parts, problem.theta_0, strict=True)]
        return np.concatenate([g.ravel() for g in problem.gradient(theta, batch)])

    rows = [
        (gradient(start + 1e-5 * unit) - gradient(start - 1e-5 * unit)) / 2e-5
        for unit in np.eye(start.size)
    ]
    return float(np.linalg.eigvalsh(np.stack(rows))[-1])


@pytest.mark.parametrize("name", ["quadratic", "rosenbrock", "mlp"])
def test_the_suggestion_follows_from_the_top_of_the_hessian(driver: type, name: str) -> None:
    problem = problem_by_name(name)
    found = driver.suggest_lr(problem, problem.theta_0, **NUMBERS)
    assert found.curvature == pytest.approx(of_the_hessian(problem), rel=2e-3)
    assert found.limit == pytest.approx(min(2 / 0.3, max_lr(found.curvature, 0.3, 0.2)))
    assert found.lr == 0.7 * found.limit
    assert (found.alpha, found.beta, found.safety) == (0.3, 0.2, 0.7)


def test_kinks_within_a_step_are_noticed(driver: type) -> None:
    start = np.array([0.01, -0.02])
    kinked = Problem(
        "kinked",
        (start,),
        lambda theta, _batch, xp=np: xp.sum(xp.abs(theta[0])) + xp.sum(theta[0] ** 2) / 2,
        lambda theta, _batch: (np.sign(theta[0]) + theta[0],),
    )
    with pytest.warns(UserWarning, match="over one step the gradient changes as if"):
        found = driver.suggest_lr(kinked, kinked.theta_0, **NUMBERS)
    assert found.curvature > 5
