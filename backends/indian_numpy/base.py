r"""What the methods share: θ and w in arrays that are updated in place, ψ, energy and state."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from indian_core import (
    METHODS,
    Coefficients,
    checked,
    checked_hyperparameters,
    coefficients,
    is_step,
    momentum_from_psi,
    momentum_units,
    psi_from_momentum,
)
from indian_core.arrays import check_fit
from indian_core.energy import lyapunov_energy

Array = npt.NDArray[Any]


class Optimizer:
    """A step on arrays of floats. A method may override `direction` to replace the gradient."""

    method: ClassVar[str]
    # What `state_dict` holds: `buffers` are lists of arrays, with one for each parameter.
    buffers: ClassVar[tuple[str, ...]] = ("momentums",)
    numbers: ClassVar[tuple[str, ...]] = ("begun",)

    def __init__(self, params: Sequence[Array], **hyperparameters: Any) -> None:
        self.params = list(params)
        for array in self.params:
            if not (isinstance(array, np.ndarray) and array.dtype in ("float32", "float64")):
                raise TypeError(f"Invalid params: {array!r} (they must be arrays of floats)")
        for name, value in hyperparameters.items():
            setattr(self, name, value)
        self.begun = False
        for name in self.buffers:
            setattr(self, name, [np.zeros_like(array) for array in self.params])

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A hyperparameter is converted to a float, or refused."""
        if name in METHODS[self.method].numbers and value is not None:
            value = checked(name, value)
        super().__setattr__(name, value)

    def direction(self, gradients: Sequence[Array]) -> Sequence[Array]:
        """Return what replaces the gradient in the step."""
        return gradients

    def decay(self) -> None:
        """Apply a step's weight decay, θ ← (1 − γλ) θ."""
        for theta in self.params:
            theta *= theta.dtype.type(1 - self.lr * self.weight_decay)

    def step(self, gradients: Sequence[Array]) -> None:
        """Make one step.

        Args:
            gradients: v, an array of each parameter's shape. They are not changed.

        Raises:
            ValueError: If a gradient does not have its parameter's shape, or is complex, or one
                is missing. Nothing is changed then.
        """
        gradients = self._fitting("gradient", gradients)
        first = not self.begun and is_step(self.lr, self.reference_lr)
        scalars = coefficients(
            self.lr, self.alpha, self.beta, self.initial_speed, first, self.reference_lr
        )
        if self.weight_decay:
            self.decay()
        self.apply(scalars, self.direction(gradients))
        self.begun = self.begun or first

    def _fitting(self, name: str, arrays: Sequence[Array]) -> list[Array]:
        """Return an array for each parameter, of its dtype, or raise."""
        if len(arrays) != len(self.params):
            raise ValueError(f"Invalid {name}: {len(arrays)} for {len(self.params)} parameters")
        for array, theta in zip(arrays, self.params, strict=True):
            check_fit(name, np.shape(array), theta.shape, is_real=not np.iscomplexobj(array))
        return [np.asarray(v, theta.dtype) for v, theta in zip(arrays, self.params, strict=True)]

    def apply(self, scalars: Coefficients, moves: Sequence[Array]) -> None:
        """Make the linear step: first θ from the old w, then w."""
        for theta, w, u in zip(self.params, self.momentums, moves, strict=True):
            a, b, c, d = (theta.dtype.type(scalar) for scalar in scalars)
            theta += a * w + b * u
            w *= c
            w += d * u

    def momentum(self) -> list[Array]:
        """Return w, for each parameter."""
        return self.momentums

    def psi(self) -> list[Array]:
        """Return the paper's ψ = (1 − αβ) θ + β w, for each parameter."""
        return [
            psi_from_momentum(theta, w, self.alpha, self.beta, self._units)
            for theta, w in zip(self.params, self.momentum(), strict=True)
        ]

    def set_psi(self, psi: Sequence[Array]) -> None:
        """Set ψ for each parameter, and with it w. The run then counts as begun.

        Raises:
            ValueError: If a ψ does not have its parameter's shape, or is complex, or one is
                missing. Nothing is changed then.
        """
        psi = self._fitting("psi", psi)
        for theta, w, value in zip(self.params, self.momentums, psi, strict=True):
            w[...] = momentum_from_psi(theta, value, self.alpha, self.beta, self._units)
        self.begun = True

    def energy(self, loss: float) -> float:
        """Return the energy 2 (1 + αβ) J + ‖w‖² (`indian_core.energy`)."""
        squared = sum(float(np.sum(np.square(w, dtype=np.float64))) for w in self.momentum())
        return float(lyapunov_energy(loss, squared, self.alpha, self.beta, self._units))

    @property
    def _units(self) -> float:
        return float(momentum_units(self.lr, self.reference_lr))

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the state: numbers, and lists of arrays."""
        names = (*METHODS[self.method].numbers, *self.numbers, *self.buffers)
        return copy.deepcopy({name: getattr(self, name) for name in names})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` returned.

        Raises:
            ValueError: If the state is not of this method and these parameters. Nothing is changed
                then.
        """
        current = self.state_dict()
        shapes = [theta.shape for theta in self.params]
        if state.keys() != current.keys():
            raise ValueError(f"Invalid state: it holds {sorted(state)}, not {sorted(current)}")
        for name in self.buffers:
            if [np.shape(array) for array in state[name]] != shapes:
                raise ValueError(f"Invalid state: the shapes of its {name} are not the parameters'")
        names = METHODS[self.method].numbers.keys()
        checked_hyperparameters(**{k: state[k] for k in names if state[k] is not None})
        vars(self).update(copy.deepcopy(state))

    # Each method's own class defines which of these it has, and with which defaults.
    lr: float
    alpha: float
    beta: float
    weight_decay: float
    initial_speed: float | None = None
    reference_lr: float | None = None
    momentums: list[Array]
