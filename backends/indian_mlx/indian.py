"""INDIAN."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_mlx.psi import PaperLaw


class INDIAN(PaperLaw):
    r"""INDIAN (INNA), an inertial Newton algorithm.

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k, \qquad
      w_0 = (s - \beta)\, v_0$$

    Args:
        learning_rate: The learning rate γ ≥ 0: a number, or a function of the step.
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, begin with SGD's learning rate at
            momentum 0.9, and try up to three times as much: γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None means β, a
            start from rest.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If one is out of range.

    Examples:
        >>> import mlx.core as mx
        >>> params = {"theta": mx.array([1.0, -2.0])}
        >>> optimizer = INDIAN(0.5, alpha=0.5, beta=0.5)
        >>> for _ in range(100):
        ...     gradients = {"theta": 2 * params["theta"]}
        ...     params = optimizer.apply_gradients(gradients, params)
        >>> bool(mx.all(mx.abs(params["theta"]) < 1e-3))
        True

    Source: Castera et al., arXiv:1905.12278, equation (11); w is from the proof of Theorem 14.
    """

    method = "INDIAN"

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array] = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float | None = INITIAL_SPEED,
        weight_decay: float = 0.0,
    ) -> None:
        numbers = {"alpha": alpha, "beta": beta, "initial_speed": initial_speed}
        super().__init__(learning_rate, **numbers, weight_decay=weight_decay)


INNA = INDIAN
"""`INDIAN` under its later name."""
