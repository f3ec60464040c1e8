"""DampedSGD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from indian_core import Coefficients, checked_damping, sgd_coefficients
from indian_mlx.base import Base


class DampedSGD(Base):
    r"""SGD with a damping d of its momentum m.

    $$\theta \leftarrow \theta - lr\,((1 - d)\, s + \tfrac{d}{1 - m}\, v), \qquad
      s \leftarrow m\, s + v$$

    where the first line reads the old s. Without a damping it is `mlx.optimizers.SGD`, with the
    heavy ball's momentum (d = 1 − m) or Nesterov's (d = 1 − m²). All numbers are attributes that
    may be assigned between steps.

    Args:
        learning_rate: The learning rate ≥ 0: a number, or a function of the step.
        momentum: m, 0 ≤ m ≤ 1. Begin with your own; with a longer one keep lr/(1 − m).
        weight_decay: λ ≥ 0. λθ is added to the gradient, as in MLX's SGD.
        nesterov: Whether the momentum is Nesterov's.
        damping: d, the share of the newest gradient in a step, from 1 − m to 1. Begin with 0.3.
            None, the default, means SGD's own.

    Raises:
        TypeError: If a hyperparameter is not a real number.
        ValueError: If one is out of range, or a damping is given with Nesterov's momentum.

    Examples:
        >>> import mlx.core as mx
        >>> params = {"theta": mx.array([1.0, -2.0])}
        >>> optimizer = DampedSGD(0.1, damping=0.3)
        >>> for _ in range(200):
        ...     gradients = {"theta": 2 * params["theta"]}
        ...     params = optimizer.apply_gradients(gradients, params)
        >>> bool(mx.all(mx.abs(params["theta"]) < 1e-3))
        True

    Source: `indian_core.momentum_law`; Ma and Yarats, arXiv:1810.06801.
    """

    method = "DampedSGD"
    decoupled_weight_decay = False

    def __init__(
        self,
        learning_rate: float | Callable[[mx.array], mx.array],
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        damping: float | None = None,
    ) -> None:
        self.nesterov = bool(nesterov)
        super().__init__(
            learning_rate, momentum=momentum, weight_decay=weight_decay, damping=damping
        )

    def check(self) -> None:
        """Raise ValueError if the damping does not go with the momentum."""
        checked_damping(self.damping, self.momentum, nesterov=self.nesterov)

    def scalars(self, lr: mx.array, state: dict[str, Any]) -> Coefficients:
        """Return the scalars of a parameter's next step."""
        del state
        return sgd_coefficients(lr, self.momentum, self.nesterov, self.damping)

    momentum: float
    damping: float | None
