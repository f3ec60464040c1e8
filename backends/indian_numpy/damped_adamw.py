"""DampedAdamW."""

from __future__ import annotations

from collections.abc import Sequence

from indian_core import DAMPING, Coefficients, adamw_coefficients, checked, checked_damping
from indian_numpy.base import Array
from indian_numpy.scaled import Scaled


class DampedAdamW(Scaled):
    r"""AdamW with a damping d of its momentum m = β1, on NumPy arrays, which it updates in place.

    The momentum s is an average of the scaled gradients u, where Adam scales an average of the
    gradients:

    $$u_t = \frac{v_t}{\sqrt{V_t/(1 - \beta_2^t)} + \varepsilon}, \qquad
      V_t = \beta_2 V_{t-1} + (1 - \beta_2)\, v_t^2$$

    $$\theta \leftarrow (1 - lr\,\lambda)\,\theta - lr\,((1 - d)\, s + d\, u), \qquad
      s \leftarrow m\, s + (1 - m)\, u$$

    At d = 1 it is AdamW with β1 = 0. All numbers are attributes that may be assigned between steps.

    Args:
        params: θ, arrays of float32 or float64.
        lr: AdamW's learning rate ≥ 0. Assign it to follow a schedule.
        beta_1: m, 0 ≤ m < 1. Begin with 0.9 up to 1,000 steps, beyond it with 0.97.
        beta_2: The decay rate of V, 0 ≤ β2 < 1.
        eps: ε ≥ 0, outside the root.
        weight_decay: λ ≥ 0, the decoupled weight decay.
        damping: d, the share of the newest gradient in a step, from 1 − m to 1. Begin with the
            default.

    Raises:
        TypeError: If a hyperparameter is not a real number, or a parameter is not an array of
            floats.
        ValueError: If a hyperparameter is out of range.

    Examples:
        >>> import numpy as np
        >>> theta = np.array([1.0, -2.0])
        >>> optimizer = DampedAdamW([theta], lr=0.05)
        >>> for _ in range(200):
        ...     optimizer.step([2 * theta])
        >>> bool(np.all(np.abs(theta) < 0.1))
        True

    Source: `indian_core.momentum_law`; Bolte et al., arXiv:2410.05871, at constant numbers.
    """

    method = "DampedAdamW"
    buffers = ("momentums", "squares")
    numbers = ("t",)

    def __init__(
        self,
        params: Sequence[Array],
        lr: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        damping: float = DAMPING,
    ) -> None:
        numbers = {"lr": lr, "beta_1": beta_1, "beta_2": beta_2, "eps": eps, "damping": damping}
        super().__init__(params, **numbers, weight_decay=weight_decay)
        self.scalars()

    @property
    def rms_decay(self) -> float:
        """Return β2, the decay rate of V."""
        return self.beta_2

    def scalars(self) -> Coefficients:
        """Return the scalars of the next step."""
        damping = checked_damping(checked("damping", self.damping), self.beta_1)
        return adamw_coefficients(self.lr, self.beta_1, damping)

    beta_1: float
    beta_2: float
    damping: float
