"""The reference of the paper's law: the phase-space form in NumPy, over a tuple of arrays.

It is slow and plain on purpose. It makes the reference trajectories that every backend is compared
with, in float64, or without any rounding on arrays of `fractions.Fraction` (see `exact`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from indian_core import directions, phase_space
from indian_core.hyperparameters import ALPHA, BETA, INITIAL_SPEED
from indian_core.testing.problems import Problem

# Arrays of float64, or of Fractions (dtype object).
Array = npt.NDArray[Any]
Edits = Mapping[int, Mapping[str, Any]]
NO_EDITS: Edits = {}


class Point(NamedTuple):
    """θ and what a run holds beside it, each a tuple of arrays: ψ, or a momentum buffer."""

    theta: tuple[Array, ...]
    hidden: tuple[Array, ...]


class Reference(Protocol):
    """A reference optimizer, whose numbers are attributes."""

    theta: tuple[Array, ...]

    @property
    def hidden(self) -> tuple[Array, ...]:
        """What a run holds beside θ."""

    def step(self, gradients: Sequence[Array], lr: Any) -> None:
        """Make one step."""


class ReferenceINDIAN:
    """INDIAN as equation (11) of the paper states it, over a tuple of arrays.

    Args:
        theta_0: The initial parameters θ_0, float64 or `exact` arrays. They are copied.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        initial_speed: s ≥ 0. ψ_0 sets the initial velocity to −s times the first gradient. None,
            the default, means β, a start from rest.
        weight_decay: λ ≥ 0, the decoupled weight decay: θ ← (1 − γλ) θ before each step. The
            velocity is unchanged, so ψ = (1 − αβ) θ + β w changes by (1 − αβ) times as much as θ.

    Attributes:
        theta: θ_k, a tuple of arrays.
        psi: ψ_k, a tuple of arrays, or None before the first gradient. The caller may set it.

    Examples:
        >>> optimizer = ReferenceINDIAN([np.array([2.0])], alpha=0.5, beta=1.0)
        >>> optimizer.step([np.array([1.0])], lr=0.5)
        >>> optimizer.theta, optimizer.psi
        ((array([1.5]),), (array([1.]),))
    """

    def __init__(
        self,
        theta_0: Sequence[Array],
        alpha: Any = ALPHA,
        beta: Any = BETA,
        initial_speed: Any = INITIAL_SPEED,
        weight_decay: Any = 0,
    ) -> None:
        self.theta: tuple[Array, ...] = tuple(np.array(array) for array in theta_0)
        self.psi: tuple[Array, ...] | None = None
        self.alpha = alpha
        self.beta = beta
        self.initial_speed = beta if initial_speed is None else initial_speed
        self.weight_decay = weight_decay

    @property
    def hidden(self) -> tuple[Array, ...]:
        """What a run holds beside θ: ψ."""
        assert self.psi is not None
        return self.psi

    def step(self, gradients: Sequence[Array], lr: Any) -> None:
        """Make one step of equation (11).

        Args:
            gradients: v_k, arrays of θ's shapes.
            lr: γ_k > 0.
        """
        if self.psi is None:
            self.psi = tuple(
                phase_space.initial_psi(theta, v, self.alpha, self.beta, self.initial_speed)
                for theta, v in zip(self.theta, gradients, strict=True)
            )
        if self.weight_decay:
            self._decay(lr)
        points = [
            phase_space.step(theta, psi, v, lr, self.alpha, self.beta)
            for theta, psi, v in zip(self.theta, self.psi, gradients, strict=True)
        ]
        self.theta = tuple(theta for theta, _ in points)
        self.psi = tuple(psi for _, psi in points)

    def _decay(self, lr: Any) -> None:
        assert self.psi is not None
        shift = [-lr * self.weight_decay * theta for theta in self.theta]
        self.theta = tuple(theta + d for theta, d in zip(self.theta, shift, strict=True))
        self.psi = tuple(
            psi + (1 - self.alpha * self.beta) * d for psi, d in zip(self.psi, shift, strict=True)
        )


class ReferenceINNAprop(ReferenceINDIAN):
    """INNAprop as its paper states it: from rest, on the scaled gradient, over a tuple of arrays.

    Args:
        theta_0: The initial parameters θ_0, float64 arrays. They are copied.
        alpha: α ≥ 0, the viscous damping.
        beta: β > 0, the Newton damping.
        sigma: σ, 0 ≤ σ < 1, the decay of V.
        eps: ε ≥ 0, added outside the root.
        weight_decay: λ ≥ 0, the weight decay: θ ← (1 − γλ) θ before each step.
        authors_weight_decay: Whether the decay leaves ψ unchanged and changes the velocity, as in
            the authors' code. False, the default, means that it leaves the velocity unchanged and
            changes ψ.

    Attributes:
        squares: V, a tuple of arrays.
        advance: The step as a map of (θ, ψ, u), `indian_core.phase_space.innaprop_step`.

    Examples:
        >>> optimizer = ReferenceINNAprop([np.array([2.0])], alpha=0.5, beta=1.0, eps=1.0)
        >>> optimizer.step([np.array([1.0])], lr=0.5)
        >>> optimizer.theta, optimizer.psi
        ((array([1.75]),), (array([1.]),))
    """

    advance = staticmethod(phase_space.innaprop_step)

    def __init__(
        self,
        theta_0: Sequence[Array],
        alpha: Any,
        beta: Any,
        sigma: Any = 0.999,
        eps: Any = 1e-8,
        weight_decay: Any = 0,
        *,
        authors_weight_decay: bool = False,
    ) -> None:
        super().__init__(theta_0, alpha, beta, beta, weight_decay)
        self.sigma = sigma
        self.eps = eps
        self.authors_weight_decay = authors_weight_decay
        self.squares: tuple[Array, ...] = tuple(np.zeros_like(t) for t in self.theta)
        self.psi = tuple((1 - alpha * beta) * t for t in self.theta)
        self._t = 0

    def step(self, gradients: Sequence[Array], lr: Any) -> None:
        """Make one step of the published recursion.

        Args:
            gradients: v_k, arrays of θ's shapes.
            lr: γ_k > 0, the step size. It must not equal β.
        """
        assert self.psi is not None
        self._t += 1
        correction = directions.bias_correction(self.sigma, self._t)
        psi = self.psi
        self._decay(lr)
        if self.authors_weight_decay:
            self.psi = psi
        self.squares = tuple(
            directions.second_moment(squares, v, self.sigma)
            for squares, v in zip(self.squares, gradients, strict=True)
        )
        points = [
            self.advance(
                theta,
                psi,
                directions.scaled_gradient(v, squares, correction, self.eps),
                lr,
                self.alpha,
                self.beta,
            )
            for theta, psi, v, squares in zip(
                self.theta, self.psi, gradients, self.squares, strict=True
            )
        ]
        self.theta = tuple(theta for theta, _ in points)
        self.psi = tuple(psi for _, psi in points)


def open_loop(
    optimizer: Reference,
    gradients: Sequence[Sequence[Array]],
    lrs: Sequence[Any],
    edits: Edits = NO_EDITS,
) -> Iterator[Point]:
    """Yield the point after each step with the given gradients.

    Args:
        optimizer: The optimizer. Its state changes.
        gradients: v_k for each step k: arrays of θ's shapes.
        lrs: The learning rate of each step k.
        edits: The numbers that are changed before step k, by name.

    Yields:
        The `Point` after step 1, 2, …
    """
    for k, (v, lr) in enumerate(zip(gradients, lrs, strict=True)):
        _edit(optimizer, edits.get(k, {}))
        optimizer.step(v, lr)
        yield Point(optimizer.theta, optimizer.hidden)


def closed_loop(
    optimizer: Reference, problem: Problem, lrs: Sequence[float], edits: Edits = NO_EDITS
) -> Iterator[Point]:
    """Yield the point after each step with the problem's own minibatch gradients.

    Args:
        optimizer: The optimizer. Its state changes.
        problem: The problem that gives the gradients. Step k uses its batch k.
        lrs: The learning rate of each step k.
        edits: The numbers that are changed before step k, by name.

    Yields:
        The `Point` after step 1, 2, …
    """
    for k, lr in enumerate(lrs):
        _edit(optimizer, edits.get(k, {}))
        optimizer.step(problem.gradient(optimizer.theta, problem.batch(k)), lr)
        yield Point(optimizer.theta, optimizer.hidden)


def _edit(optimizer: Reference, numbers: Mapping[str, Any]) -> None:
    for name, value in numbers.items():
        setattr(optimizer, name, value)


def exact(value: npt.ArrayLike) -> Any:
    """Return floats as exactly equal rational numbers, `Fraction`s, whose arithmetic is exact.

    Args:
        value: A float, or an array of floats.

    Returns:
        A Fraction for a number, an array of Fractions (dtype object) for an array.

    Examples:
        >>> exact(0.75)
        Fraction(3, 4)
    """
    array = np.asarray(value, np.float64)
    fractions = np.empty(array.shape, object)
    for index, number in np.ndenumerate(array):
        fractions[index] = Fraction(float(number))
    return fractions if array.ndim or isinstance(value, np.ndarray) else fractions[()]
