"""The valley of the paper's Figure 1, J = 100 (θ_2 − |θ_1|)² + |1 − θ_1|, in each framework.

A module `on_<framework>` has `VERSIONS`, what it computes with, and a class `Trajectories`. All
compute in float64, and all but NumPy's take the gradient from their framework's autodiff.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from indian_core.testing import problems

PROBLEM = problems.valley()
FRAMEWORKS = ("numpy", "torch", "keras", "jax")


class Panel(NamedTuple):
    """One trajectory: what the figure calls it, and its hyperparameters."""

    name: str
    alpha: float
    beta: float
    initial_speed: float


class Trajectories(Protocol):
    """A trajectory for each panel, all at the start, with INDIAN at a constant step size.

    Raises:
        RuntimeError: If there is no such device.
    """

    def __init__(self, panels: Sequence[Panel], lr: float, device: str) -> None: ...

    def advance(self, steps: int) -> np.ndarray:
        """Make so many steps and return θ of each panel, (panels, 2), float64."""


def trace(
    framework: str,
    panels: Sequence[Panel],
    lr: float,
    iterations: int,
    every: int,
    device: str,
    on_steps: Callable[[int], None] = lambda _: None,
) -> tuple[str, np.ndarray]:
    """Return what it was computed with, and θ after every so many iterations.

    Args:
        framework: One of `FRAMEWORKS`; Keras's backend is KERAS_BACKEND.
        panels: The trajectories.
        lr: γ, the constant step size.
        iterations: How many steps are made.
        every: After how many of them θ is recorded.
        device: "cpu" or "cuda".
        on_steps: Called with the number of steps made since the last time.

    Returns:
        The versions, and θ without its start: (iterations // every, panels, 2).
    """
    module = importlib.import_module(f"{__name__}.on_{framework}")
    trajectories: Trajectories = module.Trajectories(panels, lr, device)
    points = []
    for _ in range(iterations // every):
        points.append(trajectories.advance(every))
        on_steps(every)
    return module.VERSIONS, np.array(points)
