"""DampedAdamW."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx

from indian_core import DAMPING, Coefficients, adamw_coefficients, checked, checked_damping
from indian_mlx.scaled import Scaled


class DampedAdamW(Scaled):
    r"""AdamW with a damping d of its momentum m, the first of its betas.

    $$u_t = \frac{v_t}{\sqrt{V_t/(1 - \beta_2^t)} + \varepsilon}, \qquad
      V_t = \beta_2 V_{t-1} + (1 - \beta_2)\, v_t^2$$

    $$\theta \leftarrow (1 - lr\,\lambda)\,\theta - lr\,((1 - d)\, s + d\, u), \qquad
      s \leftarrow m\, s + (1 - m)\, u$$

    The momentum is an average of scaled gradients, where Adam scales an average of gradients. At
    d = 1 it is AdamW with β1 = 0 and a bias correction.

    Args:
        learning_rate: AdamW's learning rate ≥ 0: a number, or a function of the step.
        betas: (m, β2), 0 ≤ m < 1 and 0 ≤ β2 < 1. Begin with an m of 0.9 up to 1,000 steps, beyond
            it with 0.97.
        eps: ε ≥ 0, outside the root.
        weight_decay: λ ≥ 0, the decoupled weight decay.
        damping: d, the share of the newest gradient in a step, from 1 − m to 1. Begin with the
            default.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If one is out of range.

    Examples:
        >>> import mlx.core as mx
        >>> params = {"theta": mx.array([1.0, -2.0])}
        >>> optimizer = DampedAdamW(0.05)
        >>> for _ in range(200):
        ...     gradients = {"theta": 2 * params["theta"]}
        ...     params = optimizer.apply_gradients(gradients, params)
        >>> bool(mx.all(mx.abs(params["theta"]) < 0.1))
        True

    Source: `indian_core.momentum_law`; Bolte et al., arXiv:2410.05871, at constant numbers.
    """

    method = "DampedAdamW"

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        *,
        damping: float = DAMPING,
    ) -> None:
        self.betas = betas  # type: ignore[assignment]
        super().__init__(learning_rate, eps=eps, weight_decay=weight_decay, damping=damping)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A hyperparameter is checked, or refused."""
        if name == "betas":
            if not isinstance(value, list | tuple) or len(value) != 2:
                raise ValueError(f"Invalid betas: {value!r} (they must be two numbers)")
            beta_1, beta_2 = value
            value = checked("betas[0]", beta_1), checked("betas[1]", beta_2)
        super().__setattr__(name, value)

    @property
    def sigma(self) -> float:  # type: ignore[override]
        """Return β2, the decay rate of V."""
        return self.betas[1]

    def check(self) -> None:
        """Raise ValueError if the damping does not go with the momentum."""
        checked_damping(checked("damping", self.damping), self.betas[0])

    def scalars(self, lr: mx.array, state: dict[str, Any]) -> Coefficients:
        """Return the scalars of a parameter's next step."""
        del state
        return adamw_coefficients(lr, self.betas[0], self.damping)

    betas: tuple[float, float]
    damping: float
