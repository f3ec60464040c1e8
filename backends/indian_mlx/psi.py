"""The paper's law: γ, α and β, the first step's initial speed, ψ and the energy."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.utils import tree_map

from indian_core import Coefficients, coefficients, momentum_from_psi, psi_from_momentum
from indian_core.arrays import check_loss
from indian_core.energy import lyapunov_energy
from indian_mlx.base import Base, check_all, precise


class PaperLaw(Base):
    """A method whose step follows from γ, α and β. Its momentum is the paper's w."""

    alpha: float
    beta: float
    initial_speed: float | None = None

    def init_single(self, parameter: mx.array, state: dict[str, Any]) -> None:
        """Create a parameter's state: w, and whether it has begun."""
        super().init_single(parameter, state)
        state["begun"] = mx.array(False)

    def scalars(self, lr: mx.array, state: dict[str, Any]) -> Coefficients:
        """Return the scalars of a parameter's next step. One at a rate of 0 is no first step."""
        first = mx.logical_and(mx.logical_not(state["begun"]), lr != 0)
        state["begun"] = mx.logical_or(state["begun"], first)
        return coefficients(lr, self.alpha, self.beta, self.initial_speed, first.astype(lr.dtype))

    def psi(self, parameters: Any) -> Any:
        """Return the paper's ψ = (1 − αβ) θ + β w, a tree like the parameters."""
        self.init(parameters)
        return tree_map(
            lambda theta, state: psi_from_momentum(theta, state["momentum"], self.alpha, self.beta),
            parameters,
            self.state,
        )

    def set_psi(self, parameters: Any, psi: Any) -> None:
        """Set ψ, and with it w. All parameters then count as begun.

        Raises:
            ValueError: If a ψ does not have its parameter's shape, or is complex for a real
                parameter. Nothing is changed then.
        """
        check_all("psi", psi, parameters)
        self.init(parameters)

        def put(theta: mx.array, value: mx.array, state: dict[str, Any]) -> None:
            w = momentum_from_psi(theta, value, self.alpha, self.beta)
            state["momentum"] = w.astype(state["momentum"].dtype)
            state["begun"] = mx.array(True)

        tree_map(put, parameters, psi, self.state)

    def energy(self, parameters: Any, loss: Any) -> mx.array:
        """Return the energy 2 (1 + αβ) J + ‖w‖² (`indian_core.energy`)."""
        self.init(parameters)
        squares: list[mx.array] = []
        tree_map(
            lambda _, state: squares.append(mx.sum(mx.square(mx.abs(state["momentum"])))),
            parameters,
            self.state,
        )
        loss = mx.array(loss, precise())
        check_loss(loss.shape, loss.dtype, is_real=True)
        return mx.array(lyapunov_energy(loss, sum(squares), self.alpha, self.beta))
