"""INNAprop."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

from indian_core import authors_pull
from indian_mlx.base import precise
from indian_mlx.psi import PaperLaw
from indian_mlx.scaled import Scaled


class INNAprop(Scaled, PaperLaw):
    r"""INNAprop: INDIAN's step, started from rest, on the gradient over its root mean square.

    $$u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}, \qquad
      V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2$$

    Args:
        learning_rate: The learning rate γ ≥ 0: a number, or a function of the step.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V.
        eps: ε ≥ 0, outside the root.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ.
        authors_weight_decay: Whether to decay weights as the authors' code does, which leaves ψ
            unchanged.

    Raises:
        TypeError: If a hyperparameter is not a real number, or is not one of INNAprop's.
        ValueError: If one is out of range.

    Examples:
        >>> import mlx.core as mx
        >>> params = {"theta": mx.array([1.0, -2.0])}
        >>> optimizer = INNAprop(0.1, alpha=2.0, beta=0.5)
        >>> for _ in range(200):
        ...     gradients = {"theta": 2 * params["theta"]}
        ...     params = optimizer.apply_gradients(gradients, params)
        >>> bool(mx.all(mx.abs(params["theta"]) < 0.1))
        True

    Source: Bolte, Boustany, Pauwels, Purica, arXiv:2410.05871.
    """

    method = "INNAprop"

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array] = 1e-3,
        alpha: float = 0.1,
        beta: float = 0.9,
        sigma: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        authors_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            learning_rate, alpha=alpha, beta=beta, sigma=sigma, eps=eps, weight_decay=weight_decay
        )
        self.authors_weight_decay = bool(authors_weight_decay)

    def decayed(self, theta: mx.array, s: mx.array, lr: mx.array) -> tuple[mx.array, mx.array]:
        """Return θ and w after the step's weight decay."""
        if self.authors_weight_decay:
            pull = authors_pull(lr, self.alpha, self.beta, self.weight_decay)
            s = s + mx.array(pull, precise()).astype(s.dtype) * theta
        return super().decayed(theta, s, lr)
