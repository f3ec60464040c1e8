"""The closed formulas of stability against the algorithm itself on quadratics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from indian_core import coefficients
from indian_core.tuning import max_lr, optimal_hyperparameters, spectral_radius

alphas = st.one_of(st.just(0.0), st.floats(1e-3, 10))
betas = st.floats(1e-3, 10)
curvatures = st.floats(1e-4, 1e4)


def step_matrix(lr: float, alpha: float, beta: float, curvature: float) -> np.ndarray:
    """One step on the loss L θ²/2 as a matrix on (θ, w)."""
    a, b, c, d = coefficients(lr, alpha, beta)
    return np.array([[1 + b * curvature, a], [d * curvature, c]])


@given(alphas, betas, curvatures, st.floats(1e-3, 2))
def test_spectral_radius_is_that_of_a_step(
    alpha: float, beta: float, curvature: float, part: float
) -> None:
    lr = part * max_lr(curvature, alpha, beta)
    theirs = np.max(np.abs(np.linalg.eigvals(step_matrix(lr, alpha, beta, curvature))))
    # Near a double root eigenvalues are only as good as the square root of the precision.
    assert spectral_radius(lr, alpha, beta, curvature) == pytest.approx(theirs, rel=1e-6)


@given(alphas, betas, curvatures)
def test_max_lr_is_the_edge_of_stability(alpha: float, beta: float, curvature: float) -> None:
    edge = max_lr(curvature, alpha, beta)
    assume(edge * (alpha + beta * curvature) > 1e-6)  # else one is out of sight of the other side
    assert spectral_radius(edge, alpha, beta, curvature) == pytest.approx(1, abs=1e-9)
    assert spectral_radius(edge * (1 - 1e-6), alpha, beta, curvature) < 1
    assert spectral_radius(edge * (1 + 1e-6), alpha, beta, curvature) > 1


@pytest.mark.parametrize("exponent", [-300, -150, -20, 0, 20, 150, 300])
def test_tiny_and_huge_curvatures(exponent: int) -> None:
    curvature = 10.0**exponent
    edge = max_lr(curvature, 0.5, 0.1)
    assert np.isfinite(edge)
    if exponent >= 20:
        assert edge == pytest.approx(2 / (0.1 * curvature), rel=1e-12)
    if exponent <= -20:
        assert edge == pytest.approx(2 / 0.5, rel=1e-12)
    assert spectral_radius(edge, 0.5, 0.1, curvature) == pytest.approx(1, abs=1e-9)


def test_the_slow_rate_does_not_cancel() -> None:
    """With βL = 1e12 and γ in the stable range, 1 − γλ of the slow rate λ ≈ 1/β."""
    alpha, beta, curvature = 0.5, 1.0, 1e12
    lr = 1e-12
    exact = 1 - lr / beta
    assert 1 - spectral_radius(lr, alpha, beta, curvature) == pytest.approx(1 - exact, rel=1e-3)


def test_arrays_broadcast() -> None:
    limits = max_lr(np.array([0.0, 1.0, 100.0]), 0.5, np.array([[0.1], [1.0]]))
    assert limits.shape == (2, 3)
    assert limits[1, 2] == max_lr(100.0, 0.5, 1.0)
    assert limits[0, 0] == 2 / 0.5
    assert max_lr(0.0, 0.0, 0.1) == np.inf


@given(st.floats(1e-6, 1e3), st.floats(1, 1e6))
def test_optimal_hyperparameters_reach_their_rate(smallest: float, condition: float) -> None:
    largest = smallest * condition
    lr, alpha, beta, speed = optimal_hyperparameters(smallest, largest)
    assert lr == beta == speed
    spectrum = np.geomspace(smallest, largest, 50)
    rate = (np.sqrt(condition) - 1) / (np.sqrt(condition) + 1)
    worst = np.max(spectral_radius(lr, alpha, beta, spectrum))
    # All roots are double at the ends: what rounding moves them by is its square root.
    assert worst == pytest.approx(rate, abs=1e-6)


@given(st.floats(1.5, 1e3), st.floats(0.8, 1.25), st.floats(0.8, 1.25), st.floats(0.8, 1.25))
def test_no_neighbour_is_faster(condition: float, p: float, q: float, r: float) -> None:
    lr, alpha, beta, _ = optimal_hyperparameters(1.0, condition)
    spectrum = np.geomspace(1.0, condition, 200)
    best = np.max(spectral_radius(lr, alpha, beta, spectrum))
    other = np.max(spectral_radius(lr * p, alpha * q, beta * r, spectrum))
    assert other >= best - 1e-6


@pytest.mark.parametrize(
    ("call", "error", "name"),
    [
        (lambda: max_lr(-1.0, 0.5, 0.1), ValueError, "curvature"),
        (lambda: max_lr([1.0, np.nan], 0.5, 0.1), ValueError, "curvature"),
        (lambda: max_lr([], 0.5, 0.1), ValueError, "curvature"),
        (lambda: max_lr("steep", 0.5, 0.1), TypeError, "curvature"),  # type: ignore[arg-type]
        (lambda: max_lr(1.0, 0.5, 0.0), ValueError, "beta"),
        (lambda: spectral_radius(np.inf, 0.5, 0.1, 1.0), ValueError, "learning rate"),
        (lambda: optimal_hyperparameters(0.0, 1.0), ValueError, "smallest"),
        (lambda: optimal_hyperparameters(2.0, 1.0), ValueError, "largest"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        call()
