"""The scaled gradient: V and its bias correction."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from indian_core import bias_correction, scaled_gradient, second_moment
from indian_numpy.base import Array, Optimizer


class Scaled(Optimizer):
    """A method whose direction is the gradient over its root mean square."""

    t = 0

    @property
    @abstractmethod
    def rms_decay(self) -> float:
        """Return σ, the decay rate of V."""

    def direction(self, gradients: Sequence[Array]) -> Sequence[Array]:
        """Return u, the scaled gradient."""
        self.t += 1
        correction = bias_correction(self.rms_decay, self.t)
        moves = []
        for squares, v in zip(self.squares, gradients, strict=True):
            squares[...] = second_moment(squares, v, self.rms_decay)
            moves.append(scaled_gradient(v, squares, correction, self.eps))
        return moves

    eps: float
    squares: list[Array]
