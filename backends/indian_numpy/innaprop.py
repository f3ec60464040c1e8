"""INNAprop."""

from __future__ import annotations

from collections.abc import Sequence

from indian_core import authors_pull
from indian_numpy.base import Array
from indian_numpy.psi import PaperLaw
from indian_numpy.scaled import Scaled


class INNAprop(Scaled, PaperLaw):
    r"""INNAprop on NumPy arrays: INDIAN's step, started from rest, on a scaled gradient.

    The gradient is divided by the root of its mean square:

    $$u_t = \frac{v_t}{\sqrt{V_t/(1 - \sigma^t)} + \varepsilon}, \qquad
      V_t = \sigma V_{t-1} + (1 - \sigma)\, v_t^2.$$

    Args:
        params: θ, arrays of float32 or float64.
        lr: γ ≥ 0, the step size.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        sigma: σ, 0 ≤ σ < 1, the decay rate of V.
        eps: ε ≥ 0, outside the root.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ.
        authors_weight_decay: Whether to decay weights as the authors' code does. That decay leaves
            ψ unchanged, so it also makes w ← w + (1/β − α) γλθ.

    Raises:
        TypeError: If a hyperparameter is not a real number, or is not one of INNAprop's.
        ValueError: If a hyperparameter is out of range.

    Examples:
        >>> import numpy as np
        >>> theta = np.array([1.0, -2.0])
        >>> optimizer = INNAprop([theta], lr=0.1, alpha=2.0, beta=0.5)
        >>> for _ in range(200):
        ...     optimizer.step([2 * theta])
        >>> bool(np.all(np.abs(theta) < 0.1))
        True

    Source: Bolte, Boustany, Pauwels, Purica, arXiv:2410.05871.
    """

    method = "INNAprop"
    buffers = ("momentums", "squares")
    numbers = ("begun", "t", "authors_weight_decay")

    def __init__(
        self,
        params: Sequence[Array],
        lr: float = 1e-3,
        alpha: float = 0.1,
        beta: float = 0.9,
        sigma: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        authors_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            beta=beta,
            sigma=sigma,
            eps=eps,
            weight_decay=weight_decay,
        )
        self.authors_weight_decay = bool(authors_weight_decay)

    @property
    def rms_decay(self) -> float:
        """Return σ, the decay rate of V."""
        return self.sigma

    def decay(self) -> None:
        """Apply a step's weight decay."""
        if self.authors_weight_decay:
            pull = authors_pull(self.lr, self.alpha, self.beta, self.weight_decay)
            for theta, w in zip(self.params, self.momentums, strict=True):
                w += theta.dtype.type(pull) * theta
        super().decay()

    sigma: float
