"""Runs of every adapter that can be put into a file and taken up from one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import indian_keras
import indian_optax
import indian_torch
from indian_core.runs.layouts import Move
from indian_core.testing import Arrays, Problem, Settings
from tests.conformance.keras_driver import KerasDriver
from tests.conformance.optax_driver import OptaxDriver
from tests.conformance.torch_driver import TorchDriver
from tests.trajectories.generate import REFERENCES

HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "INDIAN": {"alpha": 0.5, "beta": 0.1, "initial_speed": 1.0, "weight_decay": 0.01},
    "INNAprop": {"alpha": 1.0, "beta": 0.3, "sigma": 0.99, "eps": 1e-3, "weight_decay": 0.1},
    "DampedSGD": {"momentum": 0.9, "damping": 0.3},
    "DampedAdamW": {
        **{"beta_1": 0.9, "beta_2": 0.99, "eps": 1e-3},
        **{"damping": 0.3, "weight_decay": 0.1},
    },
}
STEPS = 24


class Torch(TorchDriver):
    """The parameters are called a, b, ..."""

    def names(self) -> list[str]:
        return [chr(ord("a") + i) for i in range(len(self._params))]

    def _named(self) -> list[tuple[str, Any]]:
        return list(zip(self.names(), self._params, strict=True))

    def save_run(self, path: Path) -> None:
        indian_torch.save_run(path, self._named(), self._optimizer, self._k)

    def load_run(self, path: Path, table: Any = None, **options: Any) -> None:
        self._k = indian_torch.load_run(path, self._named(), self._optimizer, table, **options)


class Keras(KerasDriver):
    def names(self) -> list[str]:
        return [variable.path for variable in self.model.theta]

    def save_run(self, path: Path) -> None:
        indian_keras.save_run(path, self.model)

    def load_run(self, path: Path, table: Any = None, **options: Any) -> None:
        indian_keras.load_run(path, self.model, table, **options)


class Optax(OptaxDriver):
    def names(self) -> list[str]:
        return [str(i) for i in range(len(self._params))]

    def save_run(self, path: Path) -> None:
        indian_optax.save_run(path, self._params, self._state)

    def load_run(self, path: Path, table: Any = None, **options: Any) -> None:
        with self._precision():
            self._params, self._state = indian_optax.load_run(
                path, self._params, self._state, table, **options
            )


ADAPTERS: dict[str, tuple[type, str]] = {
    "torch, fused": (Torch, "fused"),
    "torch, for-loop": (Torch, "for-loop"),
    "Keras": (Keras, "eager"),
    "optax": (Optax, "scheduled"),
    "optax, injected": (Optax, "injected"),
}


class Course(NamedTuple):
    """A run of the reference: what goes in, and where it ends."""

    theta_0: Sequence[np.ndarray]
    settings: Settings
    gradients: list[Arrays]
    theta: Arrays

    def run(self, adapter: str, dtype: str, theta_0: Any = None) -> Any:
        kind, variant = ADAPTERS[adapter]
        return kind(self.theta_0 if theta_0 is None else theta_0, self.settings, variant, dtype)


def course(problem: Problem, method: str, power: float = 0.25) -> Course:
    """Return the reference's run on a problem, with the gradients that it met."""
    scale = 0.2 if method == "INDIAN" else 0.05
    # Along a schedule Keras's SGD, which has the rates in its momentum, is another method.
    power = 0.0 if method == "DampedSGD" else power
    lrs = [scale / (k + 1) ** power for k in range(STEPS)]
    reference = REFERENCES[method](problem.theta_0, **HYPERPARAMETERS[method])
    gradients = []
    for k, lr in enumerate(lrs):
        gradients.append(list(problem.gradient(reference.theta, problem.batch(k))))
        reference.step(gradients[-1], lr)
    settings = Settings(lrs, HYPERPARAMETERS[method], method)
    return Course(problem.theta_0, settings, gradients, list(reference.theta))


def table_of(source: Any, target: Any) -> dict[str, Move]:
    return {t: Move(s) for s, t in zip(source.names(), target.names(), strict=True)}
