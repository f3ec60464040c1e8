"""The trajectories by equation (11) of the paper, letter for letter, in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from indian_core.testing import ReferenceINDIAN, closed_loop

from . import PROBLEM, Panel

VERSIONS = f"NumPy {np.__version__}"


class Trajectories:
    """See `valley.Trajectories`. The panels are side by side in arrays, (2, panels)."""

    def __init__(self, panels: Sequence[Panel], lr: float, device: str) -> None:
        assert device == "cpu"  # NumPy knows no other
        self._lr = lr
        (start,) = PROBLEM.theta_0
        self._optimizer = ReferenceINDIAN(
            [np.repeat(start[:, None], len(panels), axis=1)],
            alpha=np.array([panel.alpha for panel in panels]),
            beta=np.array([panel.beta for panel in panels]),
            initial_speed=np.array([panel.initial_speed for panel in panels]),
        )

    def advance(self, steps: int) -> np.ndarray:
        for point in closed_loop(self._optimizer, PROBLEM, [self._lr] * steps):
            (theta,) = point.theta
        return theta.T
