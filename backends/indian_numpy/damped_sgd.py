"""DampedSGD."""

from __future__ import annotations

from collections.abc import Sequence

from indian_core import Coefficients, checked_damping, sgd_coefficients
from indian_numpy.base import Array, Optimizer


class DampedSGD(Optimizer):
    r"""SGD with a damping d of its momentum m, on NumPy arrays, which it updates in place.

    $$\theta \leftarrow \theta - lr\,((1 - d)\, s + \tfrac{d}{1 - m}\, v), \qquad
      s \leftarrow m\, s + v$$

    where the first line reads the old s. Without a damping it is SGD itself, with the heavy ball's
    momentum (d = 1 − m) or Nesterov's (d = 1 − m²). All numbers are attributes that may be assigned
    between steps.

    Args:
        params: θ, arrays of float32 or float64.
        lr: The learning rate ≥ 0. Assign it to follow a schedule.
        momentum: m, 0 ≤ m ≤ 1. Begin with your own; with a longer one keep lr/(1 − m).
        weight_decay: λ ≥ 0. λθ is added to the gradient, as in PyTorch's SGD.
        nesterov: Whether the momentum is Nesterov's.
        damping: d, the share of the newest gradient in a step, from 1 − m to 1. Begin with 0.3.
            None, the default, means SGD's own.

    Raises:
        TypeError: If a hyperparameter is not a real number, or a parameter is not an array of
            floats.
        ValueError: If a hyperparameter is out of range, or a damping is given with Nesterov's
            momentum.

    Examples:
        >>> import numpy as np
        >>> theta = np.array([1.0, -2.0])
        >>> optimizer = DampedSGD([theta], lr=0.1, damping=0.3)
        >>> for _ in range(200):
        ...     optimizer.step([2 * theta])
        >>> bool(np.all(np.abs(theta) < 1e-3))
        True

    Source: `indian_core.momentum_law`; Ma and Yarats, arXiv:1810.06801.
    """

    method = "DampedSGD"
    numbers = ("nesterov",)

    def __init__(
        self,
        params: Sequence[Array],
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        damping: float | None = None,
    ) -> None:
        numbers = {"lr": lr, "momentum": momentum, "damping": damping}
        super().__init__(params, **numbers, weight_decay=weight_decay)
        self.nesterov = bool(nesterov)
        self.scalars()

    def scalars(self) -> Coefficients:
        """Return the scalars of the next step."""
        damping = checked_damping(self.damping, self.momentum, nesterov=self.nesterov)
        return sgd_coefficients(self.lr, self.momentum, self.nesterov, damping)

    def decay(self) -> None:
        """Do nothing: the weight decay is in the direction."""

    def direction(self, gradients: Sequence[Array]) -> Sequence[Array]:
        """Return v + λθ."""
        if not self.weight_decay:
            return gradients
        return [
            v + theta.dtype.type(self.weight_decay) * theta
            for v, theta in zip(gradients, self.params, strict=True)
        ]

    momentum: float
    damping: float | None
