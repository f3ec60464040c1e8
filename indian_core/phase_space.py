"""INDIAN in phase space (θ, ψ), exactly as the paper states it.

Everything else in this package is tested against it. It is plain arithmetic, so floats,
`fractions.Fraction` (for exact results) and NumPy arrays all work. The optimizers run the
equivalent form of `indian_core.linear_step`, which keeps its digits better.

Source: Castera, Bolte, Févotte, Pauwels, *An Inertial Newton Algorithm for Deep Learning*
(arXiv:1905.12278; JMLR 22(134), 2021), equation (11) and section 5.2.
"""

from __future__ import annotations

from typing import Any


def initial_psi(theta: Any, gradient: Any, alpha: Any, beta: Any, initial_speed: Any = 1.0) -> Any:
    r"""Return ψ_0, which sets the initial velocity of θ to ``-initial_speed * gradient``.

    $$\psi_0 = (1 - \alpha\beta)\,\theta_0 - (\beta^2 - s\beta)\, v_0$$

    With s = 1 this is section 5.2 of the paper. With s = β it is a start from rest,
    ψ_0 = (1 − αβ) θ_0, as in the authors' PyTorch code.

    Args:
        theta: θ_0, the initial parameters: a number or an array.
        gradient: v_0, the first minibatch gradient, of θ's shape.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the gradient.

    Returns:
        ψ_0, of θ's shape.

    Examples:
        >>> initial_psi(2.0, 1.0, alpha=0.5, beta=1.0, initial_speed=1.0)
        1.0
    """
    return (1 - alpha * beta) * theta - (beta**2 - initial_speed * beta) * gradient


def step(theta: Any, psi: Any, gradient: Any, lr: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    r"""Return (θ_{k+1}, ψ_{k+1}) after one step of equation (11).

    $$\theta_{k+1} = \theta_k + \gamma_k \left((1/\beta - \alpha)\,\theta_k
        - \psi_k/\beta - \beta v_k\right)$$

    $$\psi_{k+1} = \psi_k + \gamma_k \left((1/\beta - \alpha)\,\theta_k - \psi_k/\beta\right)$$

    Args:
        theta: θ_k, the parameters: a number or an array.
        psi: ψ_k, the auxiliary variable, of θ's shape.
        gradient: v_k, the minibatch gradient at θ_k, of θ's shape.
        lr: γ_k > 0, the step size.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        The pair (θ_{k+1}, ψ_{k+1}). The arguments are not changed.

    Examples:
        >>> step(2.0, 1.0, 1.0, lr=0.5, alpha=0.5, beta=1.0)
        (1.5, 1.0)
    """
    drift = (1 / beta - alpha) * theta - psi / beta
    return theta + lr * (drift - beta * gradient), psi + lr * drift


def innaprop_step(theta: Any, psi: Any, u: Any, lr: Any, alpha: Any, beta: Any) -> tuple[Any, Any]:
    r"""Return (θ_{k+1}, ψ_{k+1}) after one step of INNAprop in its published form.

    $$\psi_{k+1} = (1 - \gamma_k/\beta)\,\psi_k + \gamma_k (1/\beta - \alpha)\,\theta_k$$

    $$\theta_{k+1} = \left(1 + \frac{\gamma_k(1 - \alpha\beta)}{\beta - \gamma_k}\right)\theta_k
        - \frac{\gamma_k}{\beta - \gamma_k}\,\psi_{k+1} - \gamma_k\beta\, u_k$$

    In exact arithmetic this is `step` on u instead of the gradient, from rest, ψ_0 = (1 − αβ) θ_0.
    But it is 0/0 at γ = β, and it loses digits near that point.

    Args:
        theta: θ_k, the parameters after weight decay: a number or an array.
        psi: ψ_k, the auxiliary variable, of θ's shape.
        u: u_k, the scaled gradient (`indian_core.directions`), of θ's shape.
        lr: γ_k > 0, the step size. It must not equal β.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        The pair (θ_{k+1}, ψ_{k+1}).

    Source: Bolte, Boustany, Pauwels, Purica, *A second-order-like optimizer with adaptive gradient
    scaling for deep learning*, arXiv:2410.05871, Algorithm 1.

    Examples:
        >>> innaprop_step(2.0, 1.0, 1.0, lr=0.5, alpha=0.5, beta=1.0)
        (1.5, 1.0)
    """
    psi = (1 - lr / beta) * psi + lr * (1 / beta - alpha) * theta
    kept = 1 + lr * (1 - alpha * beta) / (beta - lr)
    return kept * theta - lr / (beta - lr) * psi - lr * beta * u, psi
