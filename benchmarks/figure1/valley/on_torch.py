"""The trajectories in PyTorch: one optimizer, a parameter group for each panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from indian_torch import INDIAN

from . import PROBLEM, Panel

VERSIONS = f"torch {torch.__version__}"


class Trajectories:
    """See `valley.Trajectories`."""

    def __init__(self, panels: Sequence[Panel], lr: float, device: str) -> None:
        (start,) = PROBLEM.theta_0
        self._thetas = [torch.nn.Parameter(torch.tensor(start, device=device)) for _ in panels]
        groups = [
            {
                "params": [theta],
                "alpha": panel.alpha,
                "beta": panel.beta,
                "initial_speed": panel.initial_speed,
            }
            for theta, panel in zip(self._thetas, panels, strict=True)
        ]
        self._optimizer = INDIAN(groups, lr=lr)

    def advance(self, steps: int) -> np.ndarray:
        for _ in range(steps):
            self._optimizer.zero_grad()
            # A sum of losses, side by side: no panel's gradient knows of another panel.
            theta = torch.stack(self._thetas, dim=1)
            PROBLEM.loss([theta], (), torch).sum().backward()
            self._optimizer.step()
        return torch.stack(self._thetas).detach().cpu().numpy()
