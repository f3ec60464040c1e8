"""The trajectories by equation (11) of the paper, letter for letter, in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from indian_core.testing import ReferenceINDIAN, closed_loop

from . import PROBLEM, Panel

VERSIONS = f"NumPy {np.__version__}"


def trajectories(panels: Sequence[Panel], lr: float, device: str) -> Callable[[int], np.ndarray]:
    """See `valley`. The panels are side by side in arrays, (2, panels)."""
    assert device == "cpu"  # NumPy knows no other
    (start,) = PROBLEM.theta_0
    _, *hyperparameters = (np.array(column) for column in zip(*panels, strict=True))
    optimizer = ReferenceINDIAN([np.repeat(start[:, None], len(panels), axis=1)], *hyperparameters)

    def advance(steps: int) -> np.ndarray:
        for point in closed_loop(optimizer, PROBLEM, [lr] * steps):
            (theta,) = point.theta
        return theta.T

    return advance
