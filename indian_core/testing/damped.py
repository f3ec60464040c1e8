"""The reference of the momentum law: the published recursions in NumPy, over a tuple of arrays.

DampedSGD is quasi-hyperbolic momentum (Ma and Yarats, arXiv:1810.06801) in SGD's numbers, and so
SGD itself, heavy ball or Nesterov's, without a damping. DampedAdamW is the same on the scaled
gradient. They are written from the *new* buffer, as published, while `indian_core.momentum_law` has
the old one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from indian_core import directions
from indian_core.testing.reference import Array


class ReferenceDampedSGD:
    """SGD with a damping, over a tuple of arrays. Its numbers may be changed between steps.

    Args:
        theta_0: The initial parameters θ_0, float64 or `exact` arrays. They are copied.
        momentum: m, 0 ≤ m < 1.
        nesterov: Whether the momentum is Nesterov's, without a damping.
        damping: d. None, the default, means SGD itself.
        as_keras: Whether each gradient is multiplied by its own step's lr when it is added to the
            momentum, as in Keras.

    Attributes:
        theta: θ_k, a tuple of arrays.
        momentums: The momentum buffer, a tuple of arrays.

    Examples:
        >>> optimizer = ReferenceDampedSGD([np.array([2.0])], momentum=0.5)
        >>> optimizer.step([np.array([1.0])], lr=0.5)
        >>> optimizer.theta, optimizer.momentums
        ((array([1.5]),), (array([1.]),))
    """

    def __init__(
        self,
        theta_0: Sequence[Array],
        momentum: Any = 0.9,
        nesterov: bool = False,
        damping: Any = None,
        *,
        as_keras: bool = False,
    ) -> None:
        self.theta: tuple[Array, ...] = tuple(np.array(array) for array in theta_0)
        self.momentums: tuple[Array, ...] = tuple(0 * array for array in self.theta)
        self.momentum = momentum
        self.nesterov = nesterov
        self.damping = damping
        self.as_keras = as_keras

    @property
    def hidden(self) -> tuple[Array, ...]:
        """What a run holds beside θ: the momentum buffer."""
        return self.momentums

    def step(self, gradients: Sequence[Array], lr: Any) -> None:
        """Make one step.

        Args:
            gradients: v_k, arrays of θ's shapes.
            lr: SGD's learning rate ≥ 0.
        """
        m = self.momentum
        now, later = (lr, 1) if self.as_keras else (1, lr)
        pairs = list(zip(self.momentums, [now * v for v in gradients], strict=True))
        self.momentums = tuple(m * b + v for b, v in pairs)
        moves = [self._move(b, v) for b, (_, v) in zip(self.momentums, pairs, strict=True)]
        self.theta = tuple(t - later * u for t, u in zip(self.theta, moves, strict=True))

    def _move(self, buffer: Array, v: Array) -> Any:
        m, d = self.momentum, self.damping
        if d is None:
            return v + m * buffer if self.nesterov else buffer
        if m == 0:
            return v
        nu = (1 - d) / m
        return (1 - nu) / (1 - m) * v + nu * buffer


class ReferenceDampedAdamW:
    """AdamW with a damping, over a tuple of arrays. Its numbers may be changed between steps.

    Args:
        theta_0: The initial parameters θ_0, float64 arrays. They are copied.
        beta_1: m, 0 ≤ m < 1.
        beta_2: σ, the decay of V.
        eps: ε ≥ 0, outside the root and after the bias correction.
        damping: d.
        weight_decay: λ ≥ 0, decoupled: θ ← (1 − lr λ) θ before each step.

    Attributes:
        theta: θ_k, a tuple of arrays.
        momentums: The average of the scaled gradients, a tuple of arrays.
        squares: V, a tuple of arrays.

    Examples:
        >>> optimizer = ReferenceDampedAdamW([np.array([2.0])], beta_1=0.5, damping=0.5, eps=0.0)
        >>> optimizer.step([np.array([4.0])], lr=0.5)
        >>> optimizer.theta, optimizer.momentums
        ((array([1.75]),), (array([0.5]),))
    """

    def __init__(
        self,
        theta_0: Sequence[Array],
        beta_1: Any = 0.9,
        beta_2: Any = 0.999,
        eps: Any = 1e-8,
        damping: Any = 0.3,
        weight_decay: Any = 0.0,
    ) -> None:
        self.theta: tuple[Array, ...] = tuple(np.array(array) for array in theta_0)
        self.momentums: tuple[Array, ...] = tuple(0 * array for array in self.theta)
        self.squares = self.momentums
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.damping = damping
        self.weight_decay = weight_decay
        self._t = 0

    @property
    def hidden(self) -> tuple[Array, ...]:
        """What a run holds beside θ: the average of the scaled gradients."""
        return self.momentums

    def step(self, gradients: Sequence[Array], lr: Any) -> None:
        """Make one step.

        Args:
            gradients: v_k, arrays of θ's shapes.
            lr: AdamW's learning rate ≥ 0.
        """
        self._t += 1
        m = self.beta_1
        nu = (1 - self.damping) / m if m else 0
        correction = directions.bias_correction(self.beta_2, self._t)
        self.squares = tuple(
            directions.second_moment(squares, v, self.beta_2)
            for squares, v in zip(self.squares, gradients, strict=True)
        )
        us = [
            directions.scaled_gradient(v, squares, correction, self.eps)
            for v, squares in zip(gradients, self.squares, strict=True)
        ]
        self.momentums = tuple(m * b + (1 - m) * u for b, u in zip(self.momentums, us, strict=True))
        self.theta = tuple(
            (1 - lr * self.weight_decay) * theta - lr * ((1 - nu) * u + nu * b)
            for theta, u, b in zip(self.theta, us, self.momentums, strict=True)
        )
