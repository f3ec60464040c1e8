"""INDIAN."""

from __future__ import annotations

from collections.abc import Sequence

from indian_core import ALPHA, BETA, INITIAL_SPEED, LR
from indian_numpy.base import Array
from indian_numpy.psi import PaperLaw


class INDIAN(PaperLaw):
    r"""INDIAN (INNA) on NumPy arrays, which it updates in place.

    $$\theta_{k+1} = \theta_k - \gamma_k (w_k + \beta v_k)$$

    $$w_{k+1} = (1 - \alpha\gamma_k)\, w_k + \gamma_k (1 - \alpha\beta)\, v_k, \qquad
      w_0 = (s - \beta)\, v_0$$

    Args:
        params: θ, arrays of float32 or float64.
        lr: γ ≥ 0, the step size. Assign it to follow a schedule.
        alpha: α ≥ 0, the viscous damping. At the default, 0.1, begin with SGD's lr at momentum 0.9,
            and try up to three times as much: γ/α is SGD's lr/(1 − m).
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0, the initial speed in units of the first gradient. None means β, a
            start from rest.
        weight_decay: λ ≥ 0, the decoupled weight decay.

    Raises:
        TypeError: If a hyperparameter is not a real number, or a parameter is not an array of
            floats.
        ValueError: If a hyperparameter is out of range.

    Examples:
        >>> import numpy as np
        >>> theta = np.array([1.0, -2.0])
        >>> optimizer = INDIAN([theta], lr=0.5, alpha=0.5, beta=0.5)
        >>> for _ in range(100):
        ...     optimizer.step([2 * theta])
        >>> bool(np.all(np.abs(theta) < 1e-3))
        True

    Source: Castera et al., arXiv:1905.12278, equation (11); w is from the proof of Theorem 14.
    """

    method = "INDIAN"

    def __init__(
        self,
        params: Sequence[Array],
        lr: float = LR,
        alpha: float = ALPHA,
        beta: float = BETA,
        initial_speed: float | None = INITIAL_SPEED,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            beta=beta,
            initial_speed=initial_speed,
            weight_decay=weight_decay,
        )


INNA = INDIAN
"""`INDIAN` under its later name."""
