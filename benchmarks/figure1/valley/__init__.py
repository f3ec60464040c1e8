"""The valley of the paper's Figure 1, J = 100 (θ_2 − |θ_1|)² + |1 − θ_1|, in each framework.

A module `on_<framework>` has `VERSIONS`, what it computes with, and `trajectories(panels, lr,
device)`, a trajectory for each panel, all at the start, with INDIAN at a constant step size: it
returns `advance(steps)`, which makes so many steps and returns θ of each panel, (panels, 2). All
compute in float64, and all but NumPy's take the gradient from their framework's autodiff.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

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

    @property
    def hyperparameters(self) -> dict[str, float]:
        """INDIAN's, by name."""
        return {"alpha": self.alpha, "beta": self.beta, "initial_speed": self.initial_speed}


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
    advance = module.trajectories(panels, lr, device)
    points = []
    for _ in range(iterations // every):
        points.append(advance(every))
        on_steps(every)
    return module.VERSIONS, np.array(points)
