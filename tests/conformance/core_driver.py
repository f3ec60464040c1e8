"""The core's momentum form in NumPy, in each of its three readings: no framework at all."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from indian_core import (
    SMALLEST_DECAY,
    Coefficients,
    as_nesterov_sgd,
    coefficients,
    from_new_momentum,
    momentum_from_psi,
    psi_from_momentum,
)
from indian_core.testing import Arrays, Problem, Settings


class CoreDriver:
    optimizer = None
    variants: ClassVar[tuple[str, ...]] = ("old momentum", "new momentum", "SGD call")
    slow_variants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        self.settings = settings
        self.variant = variant
        self.dtype = dtype
        self.parameters = [np.array(theta, dtype) for theta in theta_0]
        self.buffers = [np.zeros_like(theta) for theta in self.parameters]
        self.scale = 1.0
        self.count = 0
        self.first = True

    def step(self, gradients: Sequence[np.ndarray]) -> None:
        lr = self.settings.lrs[self.count]
        scalars = coefficients(
            lr,
            self.settings.alpha,
            self.settings.beta,
            self.settings.initial_speed,
            self.first,
        )
        decay = 1 - lr * self.settings.weight_decay
        native = [np.asarray(v, self.dtype) for v in gradients]
        theta = [decay * theta if decay != 1 else theta for theta in self.parameters]
        self.parameters, self.buffers = self._update(scalars, theta, native)
        self.first = False
        self.count += 1

    def _update(
        self, scalars: Coefficients, theta: Arrays, gradients: Arrays
    ) -> tuple[Arrays, Arrays]:
        number = np.dtype(self.dtype).type
        if self.variant == "SGD call":
            call = as_nesterov_sgd(scalars, self.scale, fresh=self.first, dtype=self.dtype)
            if call is not None:
                factor, m, undamped, lr = (
                    number(value)
                    for value in (call.factor, call.momentum, 1 - call.dampening, call.lr)
                )
                buffers = [
                    m * (factor * b) + undamped * v
                    for b, v in zip(self.buffers, gradients, strict=True)
                ]
                moves = [
                    v + m * b if call.nesterov else b
                    for b, v in zip(buffers, gradients, strict=True)
                ]
                self.scale = call.scale
                return [t - lr * move for t, move in zip(theta, moves, strict=True)], buffers
        elif self.variant == "new momentum" and abs(scalars.momentum_momentum) >= SMALLEST_DECAY:
            c, d, a, b = (number(value) for value in from_new_momentum(scalars))
            momentum = [c * w + d * v for w, v in zip(self.buffers, gradients, strict=True)]
            return [
                t + a * w + b * v for t, w, v in zip(theta, momentum, gradients, strict=True)
            ], momentum
        a, b, c, d = (number(value) for value in scalars)
        into, out = number(self.scale), number(1 / self.scale)
        return (
            [
                t + a * (out * w) + b * v
                for t, w, v in zip(theta, self.buffers, gradients, strict=True)
            ],
            [c * w + into * d * v for w, v in zip(self.buffers, gradients, strict=True)],
        )

    def step_on(self, problem: Problem, k: int) -> None:
        batch = tuple(np.asarray(array, self.dtype) for array in problem.batch(k))
        self.step(problem.gradient(self.parameters, batch))

    def theta(self) -> Arrays:
        return [np.asarray(theta, np.float64) for theta in self.parameters]

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        self.parameters = [np.array(t, self.dtype) for t in theta]

    def psi(self) -> Arrays:
        alpha, beta = self.settings.alpha, self.settings.beta
        return [
            psi_from_momentum(theta, np.asarray(w, np.float64) / self.scale, alpha, beta)
            for theta, w in zip(self.theta(), self.buffers, strict=True)
        ]

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        alpha, beta = self.settings.alpha, self.settings.beta
        self.buffers = [
            np.asarray(momentum_from_psi(theta, p, alpha, beta), self.dtype)
            for theta, p in zip(self.theta(), psi, strict=True)
        ]
        self.scale = 1.0
        self.first = False

    def save(self) -> Any:
        return copy.deepcopy((self.parameters, self.buffers, self.scale, self.count, self.first))

    def load(self, checkpoint: Any) -> None:
        self.parameters, self.buffers, self.scale, self.count, self.first = copy.deepcopy(
            checkpoint
        )
