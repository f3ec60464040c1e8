r"""INDIAN in momentum form (θ, w): the change of variables and the scalars of one step.

The paper's own w = (α − 1/β) θ + ψ/β (proof of Theorem 14) turns equation (11) into

$$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

$$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k$$

$$w_0 = (s - \beta)\, v_0$$

exactly, for any sequence of step sizes γ_k. The optimizers store w for three reasons. It keeps its
digits, while ψ is as large as θ and its rounding error enters the velocity multiplied by 1/β. It
does not change when θ is changed from outside. And it can start at zero, without a copy of θ.

One step is a linear map in (θ, w, v), whose four scalars `coefficients` returns. A fused SGD kernel
can make it in one call (`indian_core.one_call`).

Everything here is plain arithmetic without branches, so it works on Python floats, NumPy scalars,
traced JAX values and tensors.
"""

from __future__ import annotations

from typing import Any, NamedTuple


def psi_from_momentum(theta: Any, momentum: Any, alpha: Any, beta: Any) -> Any:
    r"""Return the paper's ψ = (1 − αβ) θ + β w.

    Args:
        theta: θ, the parameters: a number or an array.
        momentum: w, of θ's shape.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        ψ, of θ's shape.

    Examples:
        >>> psi_from_momentum(2.0, 3.0, alpha=0.5, beta=0.5)
        3.0
    """
    return (1 - alpha * beta) * theta + beta * momentum


def momentum_from_psi(theta: Any, psi: Any, alpha: Any, beta: Any) -> Any:
    r"""Return w = (ψ − (1 − αβ) θ)/β, the inverse of `psi_from_momentum`.

    Args:
        theta: θ, the parameters: a number or an array.
        psi: ψ, of θ's shape.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.

    Returns:
        w, of θ's shape.

    Examples:
        >>> momentum_from_psi(2.0, 3.0, alpha=0.5, beta=0.5)
        3.0
    """
    return (psi - (1 - alpha * beta) * theta) / beta


class Coefficients(NamedTuple):
    """The scalars of one step that reads the old w: the result of `coefficients`.

    Both lines use w_k, so update θ first or keep the old w.

        θ_{k+1} = θ_k + theta_momentum · w_k + theta_gradient · v_k
        w_{k+1} = momentum_momentum · w_k + momentum_gradient · v_k
    """

    theta_momentum: Any
    theta_gradient: Any
    momentum_momentum: Any
    momentum_gradient: Any


def coefficients(
    lr: Any,
    alpha: Any,
    beta: Any,
    initial_speed: Any = None,
    first: Any = False,
) -> Coefficients:
    r"""Return the four scalars of one step.

    With f = 1 on the first step of a parameter and f = 0 on all others,

        theta_momentum    = −γ
        theta_gradient    = −γ (β + f (s − β))
        momentum_momentum = 1 − αγ
        momentum_gradient = γ (1 − αβ) + f (1 − αγ)(s − β)

    The terms in f put w_0 = (s − β) v_0 into the map itself. So the buffer can start at zero, and
    no step has to branch on a tensor.

    Args:
        lr: γ ≥ 0, the step size: a number, or a framework's scalar, traced or not.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None, the default,
            means β, a start from rest.
        first: Whether this is the first step, with w = 0: a bool, or a scalar that is 0 or 1.

    Returns:
        The four `Coefficients`.

    Examples:
        >>> tuple(coefficients(lr=0.5, alpha=0.5, beta=1.0))
        (-0.5, -0.5, 0.75, 0.25)
    """
    kept = 1 - alpha * lr
    start = 0 if initial_speed is None else first * (initial_speed - beta)
    return Coefficients(
        theta_momentum=-lr,
        theta_gradient=-lr * (beta + start),
        momentum_momentum=kept,
        momentum_gradient=lr * (1 - alpha * beta) + kept * start,
    )


def authors_pull(lr: Any, alpha: Any, beta: Any, weight_decay: Any) -> Any:
    """Return how many times θ the weight decay of INNAprop's authors adds to w: (1/β − α) γλ.

    Their decay changes θ and leaves ψ unchanged.

    Args:
        lr: γ.
        alpha: α.
        beta: β.
        weight_decay: λ.

    Examples:
        >>> authors_pull(0.5, alpha=1.0, beta=0.5, weight_decay=0.25)
        0.125
    """
    return (1 / beta - alpha) * lr * weight_decay
