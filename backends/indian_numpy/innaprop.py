"""INNAprop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from indian_core import (
    bias_correction,
    dragged,
    from_adam,
    refuse_arguments,
    scaled_gradient,
    second_moment,
)
from indian_numpy.base import Array, Optimizer


class INNAprop(Optimizer):
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
        reference_lr: The lr at which α and β hold. If it is given, they follow lr. If None, they
            are constant.
        authors_weight_decay: Whether to decay weights as the authors' code does. That decay leaves
            ψ unchanged, so it also makes w ← w + (1/β − α) γλθ.
        **unknown: No other arguments are accepted.

    Raises:
        TypeError: If a hyperparameter is not a real number, or is not one of INNAprop's.
        ValueError: If a hyperparameter is out of range.

    Examples:
        >>> import numpy as np
        >>> theta = np.array([1.0, -2.0])
        >>> optimizer = INNAprop.from_adam([theta], lr=0.1)
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
        reference_lr: float | None = None,
        authors_weight_decay: bool = False,
        **unknown: Any,
    ) -> None:
        refuse_arguments("INNAprop", unknown)
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            beta=beta,
            sigma=sigma,
            eps=eps,
            weight_decay=weight_decay,
            reference_lr=reference_lr,
        )
        self.authors_weight_decay = bool(authors_weight_decay)
        self.t = 0

    @classmethod
    def from_adam(cls, params: Sequence[Array], *args: Any, **kwargs: Any) -> INNAprop:
        """Return the INNAprop that replaces an AdamW, from `indian_core.from_adam`'s arguments."""
        return cls(params, **from_adam(*args, **kwargs)._asdict())

    def direction(self, gradients: Sequence[Array]) -> Sequence[Array]:
        """Return u, the scaled gradient."""
        self.t += 1
        correction = bias_correction(self.sigma, self.t)
        moves = []
        for squares, v in zip(self.squares, gradients, strict=True):
            squares[...] = second_moment(squares, v, self.sigma)
            moves.append(scaled_gradient(v, squares, correction, self.eps))
        return moves

    def decay(self) -> None:
        """Apply a step's weight decay."""
        if self.authors_weight_decay:
            pull = dragged(self.lr, self.alpha, self.beta, self.weight_decay, self.reference_lr)
            for theta, w in zip(self.params, self.momentums, strict=True):
                w += theta.dtype.type(pull) * theta
        super().decay()

    sigma: float
    eps: float
    squares: list[np.ndarray[Any, Any]]
