r"""The Lyapunov energy of INDIAN: the loss and the kinetic energy in one decreasing number.

Along the continuous system (equation 10 of the paper)

$$E = 2(1 + \alpha\beta)\, J(\theta) + \|w\|^2, \qquad
  \frac{dE}{dt} = -2\alpha\,\|\dot\theta\|^2 - 2\beta\,\|\nabla J\|^2, \qquad
  \dot\theta = -(w + \beta\nabla J)$$

(Lemmas 9 and 10, E = E_min + E_max, with w = (α − 1/β) θ + ψ/β). The loss alone may rise during a
run, but E may not, so a rising E means that the step size is too large or the gradients are noisy.
Small steps inherit this property: E(θ_{k+1}) − E(θ_k) = γ dE/dt + O(γ²).
"""

from __future__ import annotations

from typing import Any


def lyapunov_energy(loss: Any, squared_momentum: Any, alpha: Any, beta: Any) -> Any:
    """Return E = 2 (1 + αβ) J + ‖w‖².

    Args:
        loss: J(θ), a scalar.
        squared_momentum: ‖w‖², the squared Euclidean norm of w over all parameters.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        E, in the loss's units.

    Examples:
        >>> lyapunov_energy(loss=2.0, squared_momentum=1.0, alpha=0.5, beta=1.0)
        7.0
    """
    return 2 * (1 + alpha * beta) * loss + squared_momentum


def energy_rate(squared_velocity: Any, squared_gradient: Any, alpha: Any, beta: Any) -> Any:
    """Return dE/dt = −2α ‖θ̇‖² − 2β ‖∇J‖² ≤ 0, the rate at which the energy falls.

    Args:
        squared_velocity: ‖θ̇‖² with θ̇ = −(w + β∇J).
        squared_gradient: ‖∇J‖².
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        dE/dt. One step of size γ changes E by about γ dE/dt.

    Examples:
        >>> energy_rate(squared_velocity=2.0, squared_gradient=3.0, alpha=0.5, beta=1.0)
        -8.0
    """
    return -2 * alpha * squared_velocity - 2 * beta * squared_gradient
