"""`indian_numpy` under the conformance suite: the example that CONTRIBUTING.md walks through."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

import indian_numpy
from indian_core.testing import Arrays, Problem, Settings


class NumpyDriver:
    """One run of `indian_numpy`."""

    methods: ClassVar[Mapping[str, Any]] = {
        "INDIAN": indian_numpy.INDIAN,
        "INNAprop": indian_numpy.INNAprop,
        "DampedSGD": indian_numpy.DampedSGD,
        "DampedAdamW": indian_numpy.DampedAdamW,
    }
    variants: ClassVar[tuple[str, ...]] = ("in place",)
    slow_variants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        del variant
        params = [np.array(theta, dtype) for theta in theta_0]
        make = self.methods[settings.method]
        self.optimizer = make(params, lr=settings.lrs[0], **settings.hyperparameters)
        self.settings = settings
        self.k = 0

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        return indian_numpy.suggest_lr(
            lambda theta: problem.gradient(theta, problem.batch(0)), theta_0, **arguments
        )

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        params = self.optimizer.params
        native = [np.array(v, theta.dtype) for v, theta in zip(gradients, params, strict=True)]
        self.optimizer.lr = self.settings.lrs[self.k]
        for name, value in self.settings.edits.get(self.k, {}).items():
            setattr(self.optimizer, name, value)
        self.optimizer.step(native)
        self.k += 1
        return native

    def step_on(self, problem: Problem, k: int) -> None:
        params = self.optimizer.params
        batch = tuple(np.asarray(array, params[0].dtype) for array in problem.batch(k))
        self.step(problem.gradient(params, batch))

    def theta(self) -> Arrays:
        return [np.array(theta, np.float64) for theta in self.optimizer.params]

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        for array, value in zip(self.optimizer.params, theta, strict=True):
            array[...] = value

    def momentum(self) -> Arrays:
        return [np.asarray(s, np.float64) for s in self.optimizer.momentums]

    def psi(self) -> Arrays:
        return [np.asarray(psi, np.float64) for psi in self.optimizer.psi()]

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        self.optimizer.set_psi(psi)

    def energy(self, loss: float) -> float:
        return float(self.optimizer.energy(loss))

    def save(self) -> Any:
        return copy.deepcopy((self.optimizer.params, self.optimizer.state_dict(), self.k))

    def load(self, checkpoint: Any) -> None:
        params, state, self.k = copy.deepcopy(checkpoint)
        self.set_theta(params)
        self.optimizer.load_state_dict(state)
