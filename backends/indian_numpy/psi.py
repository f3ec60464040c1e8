"""The paper's law: γ, α and β, the first step's initial speed, ψ and the energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from indian_core import Coefficients, coefficients, momentum_from_psi, psi_from_momentum
from indian_core.energy import lyapunov_energy
from indian_numpy.base import Array, Optimizer


class PaperLaw(Optimizer):
    """A method whose step follows from γ, α and β. Its momentum is the paper's w."""

    numbers: ClassVar[tuple[str, ...]] = ("begun",)
    begun = False

    def scalars(self) -> Coefficients:
        """Return the scalars of the next step."""
        return coefficients(
            self.lr, self.alpha, self.beta, self.initial_speed, first=self._is_first
        )

    @property
    def _is_first(self) -> bool:
        # A step at a learning rate of 0 is no first step.
        return not self.begun and self.lr != 0

    def step(self, gradients: Sequence[Array]) -> None:
        """Make one step, as `Optimizer.step` says."""
        first = self._is_first
        super().step(gradients)
        self.begun = self.begun or first

    def w(self) -> list[Array]:
        """Return w, for each parameter."""
        return self.momentums

    def psi(self) -> list[Array]:
        """Return the paper's ψ = (1 − αβ) θ + β w, for each parameter."""
        return [
            psi_from_momentum(theta, w, self.alpha, self.beta)
            for theta, w in zip(self.params, self.w(), strict=True)
        ]

    def set_psi(self, psi: Sequence[Array]) -> None:
        """Set ψ for each parameter, and with it w. The run then counts as begun.

        Raises:
            ValueError: If a ψ does not have its parameter's shape, or is complex, or one is
                missing. Nothing is changed then.
        """
        psi = self._fitting("psi", psi)
        for theta, w, value in zip(self.params, self.momentums, psi, strict=True):
            w[...] = momentum_from_psi(theta, value, self.alpha, self.beta)
        self.begun = True

    def energy(self, loss: float) -> float:
        """Return the energy 2 (1 + αβ) J + ‖w‖² (`indian_core.energy`)."""
        squared = sum(float(np.sum(np.square(w, dtype=np.float64))) for w in self.w())
        return float(lyapunov_energy(loss, squared, self.alpha, self.beta))

    alpha: float
    beta: float
    initial_speed: Any = None
