"""What the conformance suite runs a backend through: one small class, a `Driver`.

A driver wraps one optimizer run. The suite exchanges NumPy float64 arrays with it and knows nothing
else of the framework. A driver has no arithmetic of its own; the backend computes everything that
it returns. `tests/conformance/numpy_driver.py` is the shortest driver.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from indian_core.testing.problems import Problem

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of one run.

    Attributes:
        lrs: The learning rate of every step that the run may make.
        hyperparameters: All other hyperparameters, by their names in the core's table
            (`indian_core.METHODS`), and the frameworks' own arguments in PyTorch's spelling.
        method: The method, a key of `indian_core.METHODS`.
        edits: The hyperparameters that are changed before step k, as a user would change them.
    """

    lrs: Sequence[float]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    method: str = "INDIAN"
    edits: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


class Driver(Protocol):
    """One run of a backend, in one of its implementations.

    Attributes:
        methods: For each method that the backend has, what users call with hyperparameters.
        variants: The implementations, e.g. ("for-loop", "foreach", "fused", "compiled").
        slow_variants: Those whose runs take seconds each. They run only on the essential
            trajectories.
        own_states: Those whose state no other implementation can take.
        has_no_sgd_decay: Whether the framework's SGD has no weight decay.
        sgd_as_keras: Whether the framework's SGD multiplies a gradient by the current lr when it
            adds the gradient to the momentum, as in Keras.
    """

    methods: ClassVar[Mapping[str, Any]]
    variants: ClassVar[tuple[str, ...]]
    slow_variants: ClassVar[tuple[str, ...]] = ()
    own_states: ClassVar[tuple[str, ...]] = ()
    has_no_sgd_decay: ClassVar[bool] = False
    sgd_as_keras: ClassVar[bool] = False

    def __init__(
        self, theta_0: Sequence[np.ndarray], settings: Settings, variant: str, dtype: str
    ) -> None:
        """Start a run at θ_0, with parameters of `dtype` ("float64" or "float32")."""

    @staticmethod
    def suggest_lr(problem: Problem, theta_0: Sequence[np.ndarray], **arguments: float) -> Any:
        """Return the backend's `suggest_lr` for the problem's loss on batch 0, at θ_0."""

    def step(self, gradients: Sequence[np.ndarray]) -> Arrays:
        """Make one step with these gradients, given as float64 (open loop).

        Return the framework's own gradients after the step, as arrays.
        """

    def step_on(self, problem: Problem, k: int) -> None:
        """Make one step with the framework's own gradient of `problem.loss` on batch k.

        `problem.loss(theta, problem.batch(k), xp)` is written over a namespace `xp` with NumPy's
        names. Pass it numpy, torch, jax.numpy or keras.ops, and the batch as native tensors.
        """

    def theta(self) -> Arrays:
        """Return θ as float64 arrays."""

    def set_theta(self, theta: Sequence[np.ndarray]) -> None:
        """Overwrite the parameters without telling the optimizer, as a user's code would."""

    def momentum(self) -> Arrays:
        """Return the buffer s of the momentum law in the framework's own form, as float64 arrays.

        It is that of the framework's SGD: momentum_buffer in torch, the trace in optax, minus the
        slot in Keras.
        """

    def psi(self) -> Arrays:
        """Return the paper's ψ from the backend's own public function, as float64 arrays.

        ψ and the energy are asked for under the paper's law only.
        """

    def set_psi(self, psi: Sequence[np.ndarray]) -> None:
        """Set ψ with the backend's own public function."""

    def energy(self, loss: float) -> float:
        """Return the energy from the backend's own public function."""

    def save(self) -> Any:
        """Return a checkpoint with θ, by the framework's own means (bytes or a path)."""

    def load(self, checkpoint: Any) -> None:
        """Restore a checkpoint of another run into this one, by the framework's own means."""
