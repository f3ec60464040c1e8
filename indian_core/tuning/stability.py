r"""The largest stable step size: INDIAN on a quadratic, in closed form.

Along a direction of curvature L (loss L θ²/2) a step with constant γ is a linear map of (θ, w).
With a = α + βL its characteristic polynomial is

$$z^2 - (2 - \gamma a)\, z + (1 - \gamma a + \gamma^2 L).$$

Its roots are 1 − γλ for the two λ with λ² − aλ + L = 0, which are the rates of the continuous
system θ̈ + a θ̇ + L θ = 0. So explicit Euler is stable while |1 − γλ| < 1 for both λ. Section 3 of
Castera et al. gives the system; the limits here are those of its discretization.

All functions take scalars or arrays, broadcast them, and return float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from indian_core.equivalences import IndianHyperparameters
from indian_core.hyperparameters import checked

Array = npt.NDArray[np.float64]


def _checked(name: str, value: npt.ArrayLike, *, positive: bool = False) -> Array:
    array = np.asarray(value)
    if array.size == 0:
        raise ValueError(f"Invalid {name}: an empty array")
    numbers = [checked(name, number, positive=positive) for number in array.ravel()]
    return np.array(numbers).reshape(array.shape)


def _rates(curvature: Array, alpha: Array, beta: Array) -> tuple[Array, Array, Array, Array]:
    """Return a, whether the rates are real, the larger real rate, and |Im| of complex rates."""
    damping = alpha + beta * curvature
    root = np.sqrt(curvature)
    # a² − 4L, in factors that neither overflow nor cancel where a² is large.
    lower, upper = damping - 2 * root, damping + 2 * root
    real = lower >= 0
    distance = np.sqrt(np.abs(lower)) * np.sqrt(upper)
    return damping, real, (damping + np.where(real, distance, 0.0)) / 2, distance / 2


def max_lr(curvature: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike) -> Any:
    r"""Return γ_max, up to which constant step sizes are stable at this curvature.

    $$\gamma_{\max}(L) = \frac{4}{a + \sqrt{a^2 - 4L}} \text{ if } a^2 \ge 4L, \text{ else }
      \frac{a}{L}, \qquad a = \alpha + \beta L$$

    For βL ≫ 1 γ_max is about 2/(βL). It is not monotone in L. For a whole spectrum (0, L] use
    ``min(max_lr(0, alpha, beta), max_lr(L, alpha, beta))``, where the first term is 2/α.

    Args:
        curvature: L ≥ 0, an eigenvalue of the Hessian (per unit of θ²).
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        γ_max, a float or an array of the broadcast shape. It is infinite for L = α = 0.

    Raises:
        ValueError: If an argument is negative, NaN, infinite or empty, or β is zero.

    Examples:
        >>> round(float(max_lr(curvature=100.0, alpha=0.5, beta=0.5)), 6)
        0.041292
    """
    length, alpha, beta = np.broadcast_arrays(
        _checked("curvature", curvature),
        _checked("alpha", alpha),
        _checked("beta", beta, positive=True),
    )
    damping, real, fastest, _ = _rates(length, alpha, beta)
    with np.errstate(divide="ignore", over="ignore"):
        limit = np.where(real, 2 / fastest, damping / np.where(real, 1.0, length))
    return limit[()]


def spectral_radius(
    lr: npt.ArrayLike, alpha: npt.ArrayLike, beta: npt.ArrayLike, curvature: npt.ArrayLike
) -> Any:
    r"""Return the factor by which (θ, w) shrinks per step in the long run.

    It is the largest |z| over the roots of z² − (2 − γa) z + (1 − γa + γ²L), with a = α + βL. A
    value less than one means stability. The error after k steps is about the k-th power.

    Args:
        lr: γ ≥ 0, the constant step size.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        curvature: L ≥ 0, an eigenvalue of the Hessian.

    Returns:
        The spectral radius, a float or an array of the broadcast shape.

    Raises:
        ValueError: If an argument is negative, NaN, infinite or empty, or β is zero.

    Examples:
        >>> float(spectral_radius(lr=0.5, alpha=2.0, beta=0.5, curvature=1.0))
        0.75
    """
    gamma, alpha, beta, length = np.broadcast_arrays(
        _checked("lr", lr),
        _checked("alpha", alpha),
        _checked("beta", beta, positive=True),
        _checked("curvature", curvature),
    )
    damping, real, fastest, imaginary = _rates(length, alpha, beta)
    # The slower rate is L over the faster rate. Computing it as a difference would cancel.
    slowest = np.divide(length, fastest, out=np.zeros_like(length), where=fastest > 0)
    with np.errstate(over="ignore"):
        of_real = np.maximum(np.abs(1 - gamma * fastest), np.abs(1 - gamma * slowest))
        of_complex = np.hypot(1 - gamma * damping / 2, gamma * imaginary)
    return np.where(real, of_real, of_complex)[()]


def optimal_hyperparameters(smallest: float, largest: float) -> IndianHyperparameters:
    r"""Return the (γ, α, β) that are fastest on all quadratics with this spectrum, and s = β.

    $$\gamma = \beta = \frac{2}{\sqrt{L} + \sqrt{m}}, \qquad
      \alpha = \frac{2\sqrt{Lm}}{\sqrt{L} + \sqrt{m}}$$

    The error decreases like ((√κ − 1)/(√κ + 1))^k with κ = L/m. This is the heavy ball's optimum,
    which no method of this kind beats. At κ = 100 it is 0.818 per step, against 0.885 for
    Nesterov's method and 0.980 for gradient descent.

    Args:
        smallest: m > 0, the smallest curvature.
        largest: L ≥ m, the largest curvature.

    Returns:
        INDIAN's hyperparameters.

    Raises:
        ValueError: If m is not positive or L is less than m.

    Examples:
        >>> optimal_hyperparameters(smallest=1.0, largest=9.0)
        IndianHyperparameters(lr=0.5, alpha=1.5, beta=0.5, initial_speed=0.5)
    """
    smallest = checked("smallest", smallest, positive=True)
    largest = checked("largest", largest, positive=True)
    if largest < smallest:
        raise ValueError(
            f"Invalid largest: {largest} (it must not be less than smallest={smallest})"
        )
    low, high = float(np.sqrt(smallest)), float(np.sqrt(largest))
    lr = 2 / (high + low)
    return IndianHyperparameters(lr, low * (high * lr), beta=lr, initial_speed=lr)
