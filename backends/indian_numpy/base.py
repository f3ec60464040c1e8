r"""What the methods share: the linear step on arrays that are updated in place, and the state."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from indian_core import METHODS, Coefficients, checked, checked_hyperparameters
from indian_core.arrays import check_fit

Array = npt.NDArray[Any]


class Optimizer(ABC):
    """A linear step on arrays of floats. A method defines its `scalars` and its `direction`."""

    method: ClassVar[str]
    # What `state_dict` holds beside the hyperparameters: `buffers` are lists of arrays, one for
    # each parameter.
    buffers: ClassVar[tuple[str, ...]] = ("momentums",)
    numbers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, params: Sequence[Array], **hyperparameters: Any) -> None:
        self.params = list(params)
        for array in self.params:
            if not (isinstance(array, np.ndarray) and array.dtype in ("float32", "float64")):
                raise TypeError(f"Invalid params: {array!r} (they must be arrays of floats)")
        for name, value in hyperparameters.items():
            setattr(self, name, value)
        for name in self.buffers:
            setattr(self, name, [np.zeros_like(array) for array in self.params])

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. A hyperparameter is converted to a float, or refused."""
        if name in METHODS[self.method].numbers and value is not None:
            value = checked(name, value)
        super().__setattr__(name, value)

    @abstractmethod
    def scalars(self) -> Coefficients:
        """Return the scalars of the next step, or raise if the numbers do not go together."""

    def direction(self, gradients: Sequence[Array]) -> Sequence[Array]:
        """Return what replaces the gradient in the step."""
        return gradients

    def decay(self) -> None:
        """Apply a step's decoupled weight decay, θ ← (1 − lr λ) θ."""
        for theta in self.params:
            theta *= theta.dtype.type(1 - self.lr * self.weight_decay)

    def step(self, gradients: Sequence[Array]) -> None:
        """Make one step.

        Args:
            gradients: v, an array of each parameter's shape. They are not changed.

        Raises:
            ValueError: If a gradient does not have its parameter's shape, or is complex, or one
                is missing, or the hyperparameters do not go together. Nothing is changed then.
        """
        gradients = self._fitting("gradient", gradients)
        scalars = self.scalars()
        if self.weight_decay:
            self.decay()
        self.apply(scalars, self.direction(gradients))

    def apply(self, scalars: Coefficients, moves: Sequence[Array]) -> None:
        """Make the linear step: first θ from the old momentum, then the momentum."""
        for theta, s, u in zip(self.params, self.momentums, moves, strict=True):
            a, b, c, d = (theta.dtype.type(scalar) for scalar in scalars)
            theta += a * s + b * u
            s *= c
            s += d * u

    def _fitting(self, name: str, arrays: Sequence[Array]) -> list[Array]:
        """Return an array for each parameter, of its dtype, or raise."""
        if len(arrays) != len(self.params):
            raise ValueError(f"Invalid {name}: {len(arrays)} for {len(self.params)} parameters")
        for array, theta in zip(arrays, self.params, strict=True):
            check_fit(name, np.shape(array), theta.shape, is_real=not np.iscomplexobj(array))
        return [np.asarray(v, theta.dtype) for v, theta in zip(arrays, self.params, strict=True)]

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

    lr: float
    weight_decay: float
    momentums: list[Array]
