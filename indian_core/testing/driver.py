"""What the conformance suite asks of an adapter: one small class each, a `Driver`.

A driver wraps one optimizer run. The suite speaks NumPy float64 to it and knows nothing else of
the framework. A driver adds no arithmetic of its own: whatever it returns, the adapter computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from indian_core.testing.problems import Problem

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of one run: `lrs` holds γ_k for every step that the run may take."""

    lrs: Sequence[float]
    alpha: float
    beta: float
    initial_speed: float
    weight_decay: float = 0.0


class Driver(Protocol):
    """One run of one variant of an adapter."""

    # What users call with hyperparameters; None where there is no such thing.
    optimizer: ClassVar[Any]
    # The variants of the adapter, e.g. ("for-loop", "foreach", "fused", "compiled"), and those
    # among them whose every run costs seconds: they run on the essential trajectories only.
    variants: ClassVar[tuple[str, ...]]
    slow_variants: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        """Start a run at θ_0, with parameters of `dtype` ("float64" or "float32")."""

    def step(self, gradients: Sequence[np.ndarray]) -> None:
        """Make one step with these gradients, given as float64 (open loop).

        The driver checks that the adapter has not changed the gradients it was handed.
        """

    def step_on(self, problem: Problem, k: int) -> None:
        """Make one step with the framework's own gradient of `problem.loss` on batch k.

        `problem.loss(theta, problem.batch(k), xp)` is written over a namespace `xp` with NumPy's
        names: hand it numpy, torch, jax.numpy or keras.ops, and the batch as native tensors.
        """

    def theta(self) -> Arrays:
        """Return θ as float64 arrays."""

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        """Overwrite the parameters behind the optimizer's back, as a user's code would."""

    def psi(self) -> Arrays:
        """Return the paper's ψ, by the adapter's own public function, as float64 arrays."""

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        """Set ψ by the adapter's own public function."""

    def save(self) -> Any:
        """Return a checkpoint, θ included, made by the framework's own means (bytes or a path)."""

    def load(self, checkpoint: Any) -> None:
        """Restore a checkpoint of another run into this one, by the framework's own means."""
