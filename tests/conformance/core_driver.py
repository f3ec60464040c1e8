"""The core's linear step in NumPy, and as one call of SGD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import indian_numpy
from indian_core import (
    Coefficients,
    NesterovSGD,
    as_nesterov_sgd,
    constant_call,
    constant_scale,
)
from indian_core.testing import Arrays, Settings
from tests.conformance.numpy_driver import NumpyDriver


class _Reading:
    """Of `indian_numpy.Optimizer`, the linear step in another reading: scale · w is kept for w."""

    reading = "plain"
    scale = 1.0

    def apply(self, scalars: Coefficients, moves: Sequence[Any]) -> None:
        number = self.params[0].dtype.type
        if self.reading == "SGD call":
            call = self.call(scalars)
            if call is not None:
                factor, m, undamped, lr = (
                    number(value)
                    for value in (call.factor, call.momentum, 1 - call.dampening, call.lr)
                )
                for theta, b, v in zip(self.params, self.momentums, moves, strict=True):
                    b *= factor
                    b *= m
                    b += undamped * v
                    theta -= lr * (v + m * b if call.nesterov else b)
                self.scale = call.scale
                return
        a, b, c, d = scalars
        on_buffer = Coefficients(a / self.scale, b, c, d * self.scale)
        super().apply(on_buffer, moves)

    def call(self, scalars: Coefficients) -> NesterovSGD | None:
        # The authors' weight decay changes w before the first step.
        fresh = not self.begun and not any(w.any() for w in self.momentums)
        return as_nesterov_sgd(scalars, self.scale, fresh=fresh, dtype=self.params[0].dtype)

    def w(self) -> list[Any]:
        return [np.asarray(w, np.float64) / self.scale for w in self.momentums]

    def set_psi(self, psi: Sequence[Any]) -> None:
        super().set_psi(psi)
        self.scale = 1.0


class _INDIAN(_Reading, indian_numpy.INDIAN):
    numbers = (*indian_numpy.INDIAN.numbers, "scale")


class _INNAprop(_Reading, indian_numpy.INNAprop):
    numbers = (*indian_numpy.INNAprop.numbers, "scale")

    def decay(self) -> None:
        for w in self.momentums:
            w /= self.scale
        self.scale = 1.0
        super().decay()


class _MomentumLaw(_Reading):
    """The momentum law, at a scale that follows from the momentum and the damping."""

    def call(self, scalars: Coefficients) -> NesterovSGD | None:
        lr, self.lr = self.lr, 1.0
        scale = constant_scale(self.scalars())
        self.lr = lr
        for s in self.momentums:
            s *= s.dtype.type(scale / self.scale)
        self.scale = scale
        return constant_call(scalars, scale)


class _DampedSGD(_MomentumLaw, indian_numpy.DampedSGD):
    numbers = (*indian_numpy.DampedSGD.numbers, "scale")


class _DampedAdamW(_MomentumLaw, indian_numpy.DampedAdamW):
    numbers = (*indian_numpy.DampedAdamW.numbers, "scale")


class CoreDriver(NumpyDriver):
    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": _INDIAN,
        "INNAprop": _INNAprop,
        "DampedSGD": _DampedSGD,
        "DampedAdamW": _DampedAdamW,
    }
    variants: ClassVar[tuple[str, ...]] = ("plain", "SGD call")

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        super().__init__(theta_0, settings, variant, dtype)
        self.optimizer.reading = variant

    def momentum(self) -> Arrays:
        return [np.asarray(s, np.float64) for s in self.optimizer.w()]
