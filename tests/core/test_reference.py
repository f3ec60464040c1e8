"""The reference optimizer, against the paper's Figure 1 and against exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from indian_core.testing import ReferenceINDIAN, closed_loop, exact, problems


# J at iterations 10,000 and 20,000 of the paper's Figure 1, γ = 1e-4, from rest.
@pytest.mark.parametrize(
    ("alpha", "beta", "losses"),
    [(0.5, 0.01, (2.09, 1.51)), (0.5, 0.1, (2.00, 1.45)), (1.3, 0.1, (2.05, 1.72))],
)
def test_figure_1(alpha: float, beta: float, losses: tuple[float, float]) -> None:
    problem = problems.valley()
    optimizer = ReferenceINDIAN(problem.theta_0, alpha, beta, initial_speed=beta)
    points = list(closed_loop(optimizer, problem, [1e-4] * 20_000))
    for k, loss in zip((10_000, 20_000), losses, strict=True):
        assert problem.loss(points[k - 1].theta, ()) == pytest.approx(loss, abs=0.006)


def test_fractions_are_exact() -> None:
    assert exact(0.1) == Fraction(0.1)
    assert exact(np.array(0.5))[()] == Fraction(1, 2)
    optimizer = ReferenceINDIAN([exact(np.array([0.1, -3.0]))], exact(0.5), exact(0.1), exact(1.0))
    optimizer.step([exact(np.array([1.0, 2.0]))], exact(0.1))
    assert all(isinstance(value, Fraction) for value in optimizer.theta[0])
    # The initial velocity is minus the gradient: θ_1 = θ_0 − γ v_0.
    assert optimizer.theta[0][0] == Fraction(0.1) - Fraction(0.1)


def test_the_start_is_copied() -> None:
    theta_0 = np.array([1.0, 2.0])
    optimizer = ReferenceINDIAN([theta_0])
    optimizer.step([np.ones(2)], 0.1)
    np.testing.assert_array_equal(theta_0, [1.0, 2.0])
    assert not np.shares_memory(optimizer.theta[0], theta_0)


def test_weight_decay_moves_theta_and_leaves_the_velocity() -> None:
    """With no gradient, decayed steps from rest only shrink θ: by 1 − γλ each."""
    optimizer = ReferenceINDIAN([np.array([2.0])], 0.5, 0.1, weight_decay=0.25)
    for _ in range(10):
        optimizer.step([np.zeros(1)], 0.1)
    np.testing.assert_allclose(optimizer.theta[0], 2.0 * (1 - 0.025) ** 10, rtol=1e-13)


def test_minibatches_visit_every_sample_once_an_epoch() -> None:
    inputs = np.arange(96.0).reshape(96, 1)
    problem = problems.logistic_regression(inputs, np.arange(96) % 3, batch_size=32)
    seen = np.concatenate([problem.batch(k)[0].ravel() for k in range(3)])
    np.testing.assert_array_equal(np.sort(seen), inputs.ravel())
