"""INNAprop's arithmetic: golden values, and identities with Adam."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core import checked, coefficients, directions, innaprop_from_damped_adamw
from indian_core.testing import ReferenceINNAprop

GRADIENTS = np.random.default_rng(0).standard_normal((300, 3))
CURVATURE = np.array([1.0, 4.0])

# J = (x² + 4y²)/2, θ₀ = (1, −2), ε = .1, worked out by hand from the paper's recursion:
# settings, γ_k, and by step θ, ψ and (where known) V.
A = {"alpha": 0.1, "beta": 0.9, "sigma": 0.9, "eps": 0.1}
GOLDENS: dict[str, tuple[dict[str, Any], list[float], dict[int, list[list[float]]]]] = {
    "A": (
        A,
        [0.1] * 5,
        {
            1: [[0.9181818181818182, -1.911111111111111], [0.91, -1.82], [0.1, 6.4]],
            2: [
                [0.8317888144915127, -1.8151986008287067],
                [0.9017272727272727, -1.8110123456790124],
                [0.1743057851239669, 11.60375308641975],
            ],
            5: [
                [0.5556539251664584, -1.4909942880351956],
                [0.832095980481757, -1.7331264404970956],
                [0.2748075027791449, 21.07319979908302],
            ],
        },
    ),
    "B": (
        A | {"alpha": 2.0, "beta": 2.0},
        [0.1] * 5,
        {
            1: [[0.8181818181818181, -1.8024691358024691], [-3.0, 6.0], [0.1, 6.4]],
            5: [
                [0.4500532617531836, -1.3252646401687722],
                [-2.800435469843138, 5.769573207973569],
                [0.20856621857145438, 18.001245422735337],
            ],
        },
    ),
    "D, the authors' decay": (
        A | {"weight_decay": 0.5, "authors_weight_decay": True},
        [0.1] * 5,
        {
            1: [
                [0.8631262626262626, -1.8009999999999997],
                [0.9049444444444444, -1.8098888888888889],
                [0.1, 6.4],
            ],
            5: [
                [0.34543880587517906, -0.9945521447176735],
                [0.773796314673524, -1.6064331984942561],
                [0.21615362098169344, 16.373705677523102],
            ],
        },
    ),
    "D, pure decay": (
        A | {"weight_decay": 0.5},
        [0.1] * 5,
        {
            1: [[0.8681818181818182, -1.811111111111111]],
            5: [[0.39596178467543625, -1.1088638141641691]],
        },
    ),
    "C, gamma across beta": (
        {"alpha": 0.5, "beta": 0.1001, "sigma": 0.99, "eps": 1e-8},
        [0.1, 0.2, 0.05, 0.1, 0.4],
        {
            1: [[0.9899900001001, -1.9899900000125126], [0.94995, -1.8999], [0.01, 0.64]],
            5: [
                [0.698223805595418, -1.6952652120834695],
                [0.7300409789883817, -1.678678469934348],
                [0.04453676597534877, 2.9900975197869917],
            ],
        },
    ),
}


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens(name: str) -> None:
    settings, lrs, points = GOLDENS[name]
    optimizer = ReferenceINNAprop([np.array([1.0, -2.0])], **settings)
    tolerance = 1e-11 if name.startswith("C") else 1e-14
    for k, lr in enumerate(lrs, 1):
        optimizer.step([CURVATURE * optimizer.theta[0]], lr)
        assert optimizer.psi is not None
        found = optimizer.theta[0], optimizer.psi[0], optimizer.squares[0]
        for actual, expected in zip(found, points.get(k, []), strict=False):
            np.testing.assert_allclose(actual, expected, rtol=tolerance)


class Momentum:
    """The form that is implemented: `coefficients`, from rest, on u."""

    def __init__(self, alpha: float, beta: float, sigma: float, eps: float) -> None:
        self.theta, self.w, self.squares = np.ones(3), np.zeros(3), np.zeros(3)
        self.alpha, self.beta, self.sigma, self.eps = alpha, beta, sigma, eps
        self.t = 0

    def step(self, v: np.ndarray, lr: float) -> None:
        self.t += 1
        self.squares = directions.second_moment(self.squares, v, self.sigma)
        correction = directions.bias_correction(self.sigma, self.t)
        u = directions.scaled_gradient(v, self.squares, correction, self.eps)
        a, b, c, d = coefficients(lr, self.alpha, self.beta, self.beta)
        self.theta, self.w = self.theta + a * self.w + b * u, c * self.w + d * u


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 0.9), (2.0, 2.0), (1.0, 1.0), (0.5, 0.05)])
def test_the_published_recursion_is_the_momentum_step_on_the_scaled_gradient(
    alpha: float, beta: float
) -> None:
    ours = Momentum(alpha, beta, 0.99, 1e-8)
    published = ReferenceINNAprop([np.ones(3)], alpha, beta, 0.99, 1e-8)
    for k, v in enumerate(GRADIENTS):
        lr = 0.01 / (k + 1) ** 0.25
        ours.step(v, lr)
        published.step([v], lr)
    np.testing.assert_allclose(ours.theta, published.theta[0], rtol=1e-12)
    psi = (1 - alpha * beta) * ours.theta + beta * ours.w
    assert published.psi is not None
    np.testing.assert_allclose(psi, published.psi[0], rtol=1e-12, atol=1e-13)


def test_without_damping_to_spare_it_is_adam_without_momentum() -> None:
    """αβ = 1: AdamW(lr = γβ, betas = (0, σ)), under a schedule."""
    gamma, alpha, beta, _ = innaprop_from_damped_adamw(0.01, 0.0, 1.0)
    assert alpha * beta == pytest.approx(1, rel=1e-15)
    ours = Momentum(alpha, beta, 0.9, 1e-3)
    theta, squares = np.ones(3), np.zeros(3)
    for k, v in enumerate(GRADIENTS, 1):
        ours.step(v, gamma / k**0.5)
        squares = 0.9 * squares + 0.1 * v**2
        theta = theta - 0.01 / k**0.5 * v / (np.sqrt(squares / (1 - 0.9**k)) + 1e-3)
    np.testing.assert_allclose(ours.theta, theta, rtol=1e-13)
    np.testing.assert_allclose(ours.w, 0, atol=1e-14)


def test_at_the_adam_point_it_is_nesterovs_momentum_on_the_scaled_gradient() -> None:
    lr, momentum = 0.01, 0.9
    gamma, alpha, beta, _ = innaprop_from_damped_adamw(lr, momentum, 1 - momentum**2)
    ours = Momentum(alpha, beta, 0.9, 1e-3)
    theta, average, squares = np.ones(3), np.zeros(3), np.zeros(3)
    for k, v in enumerate(GRADIENTS, 1):
        ours.step(v, gamma)
        squares = 0.9 * squares + 0.1 * v**2
        u = v / (np.sqrt(squares / (1 - 0.9**k)) + 1e-3)
        average = momentum * average + (1 - momentum) * u
        theta = theta - lr * (momentum * average + (1 - momentum) * u)
    np.testing.assert_allclose(ours.theta, theta, rtol=1e-12)


@pytest.mark.parametrize("sigma", [1.0, 1, -0.1, float("nan"), float("inf")])
def test_sigma_is_below_one(sigma: float) -> None:
    with pytest.raises(ValueError, match=rf"^Invalid sigma: {sigma} \(it must be >= 0 and < 1\)$"):
        checked("sigma", sigma)
