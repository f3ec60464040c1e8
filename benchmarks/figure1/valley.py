"""The valley of the paper's Figure 1, J = 100 (θ_2 − |θ_1|)² + |1 − θ_1|: paths and their measures.

NumPy's path is computed from equation (11) of the paper, letter for letter. The others are
computed by the adapters. All are in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness import workers
from indian_core.testing import ReferenceINDIAN, problems

PROBLEM = problems.valley()
FRAMEWORKS = ("numpy", *workers.FRAMEWORKS)


class Panel(NamedTuple):
    """One trajectory: its name in the figure, and its hyperparameters."""

    name: str
    alpha: float
    beta: float
    initial_speed: float

    @property
    def hyperparameters(self) -> dict[str, float]:
        """INDIAN's hyperparameters by name."""
        return {"alpha": self.alpha, "beta": self.beta, "initial_speed": self.initial_speed}


def gradient(xp: Any, theta: Any) -> Any:
    """Return the gradient of J at a point, with the sign of 0 being 0.

    Args:
        xp: A framework's namespace with NumPy's names.
        theta: The point.
    """
    (found,) = PROBLEM.gradient([theta], (), xp)
    return found


class _Reference:
    """A trajectory (see `benchmarks.harness.runs`) in NumPy."""

    def __init__(
        self, start: np.ndarray, gradient: Callable[..., Any], hyperparameters: Mapping[str, float]
    ) -> None:
        self._gradient = gradient
        self._optimizer = ReferenceINDIAN([start], **hyperparameters)

    def go_on(self, lrs: np.ndarray) -> np.ndarray:
        for lr in lrs:
            (theta,) = self._optimizer.theta
            self._optimizer.step([self._gradient(np, theta)], lr)
        return self._optimizer.theta[0].copy()


def trace(
    framework: str,
    panels: Sequence[Panel],
    lr: float,
    iterations: int,
    every: int,
) -> tuple[str, np.ndarray]:
    """Return the software's versions, and θ at intervals.

    Args:
        framework: One of `FRAMEWORKS`; KERAS_BACKEND names Keras's backend.
        panels: The trajectories.
        lr: γ, the constant step size.
        iterations: The number of steps in each trajectory.
        every: The number of steps between two records of θ.

    Returns:
        The versions, and θ without its start: (iterations // every, panels, 2).
    """
    make: Callable[..., Any] = _Reference
    versions = f"NumPy {np.__version__}"
    if framework != "numpy":
        module = workers.module_of(framework)
        make, versions = module.Trajectory, module.VERSIONS
    (start,) = PROBLEM.theta_0
    paths = []
    for panel in panels:
        run = make(start, gradient, panel.hyperparameters)
        paths.append([run.go_on(np.full(every, lr)) for _ in range(iterations // every)])
    return versions, np.stack(paths, axis=1)


def losses(path: np.ndarray) -> np.ndarray:
    """Return J at every point; the path may have more dimensions before the last."""
    values: np.ndarray = PROBLEM.loss([np.moveaxis(path, -1, 0)], ())
    return values


def across(path: np.ndarray) -> np.ndarray:
    """Return θ_2 − |θ_1| at every point: its position across the valley, whose floor is at 0."""
    return path[:, 1] - np.abs(path[:, 0])


def travel(coordinate: np.ndarray) -> float:
    """Return the distance travelled in a coordinate, the sum of its absolute changes."""
    return float(np.abs(np.diff(coordinate)).sum())


def swings(coordinate: np.ndarray, least: float) -> int:
    """Return how often a coordinate turns back, counting only turns of more than `least`.

    A parasitic oscillation consists of such turns. An overdamped path to the floor has none.

    Args:
        coordinate: The coordinate's values along the path.
        least: The coordinate changes by more than this between two turns that are counted.
    """
    turns, direction, extreme = 0, 0, coordinate[0]
    for value in coordinate[1:]:
        if direction == 0:
            if abs(value - extreme) > least:
                direction, extreme = np.sign(value - extreme), value
        elif direction * (value - extreme) > 0:
            extreme = value
        elif direction * (extreme - value) > least:
            turns, direction, extreme = turns + 1, -direction, value
    return turns
