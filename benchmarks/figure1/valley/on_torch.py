"""The trajectories in PyTorch: one optimizer, a parameter group for each panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.harness import on_torch
from indian_torch import INDIAN

from . import PROBLEM, Panel

VERSIONS = on_torch.VERSIONS


def trajectories(panels: Sequence[Panel], lr: float, device: str) -> Callable[[int], np.ndarray]:
    """See `valley`."""
    (start,) = PROBLEM.theta_0
    thetas = [torch.nn.Parameter(torch.tensor(start, device=device)) for _ in panels]
    groups = [
        {"params": [theta]} | panel.hyperparameters
        for theta, panel in zip(thetas, panels, strict=True)
    ]
    optimizer = INDIAN(groups, lr=lr)

    def advance(steps: int) -> np.ndarray:
        for _ in range(steps):
            optimizer.zero_grad()
            # A sum of losses, side by side: no panel's gradient knows of another panel.
            PROBLEM.loss([torch.stack(thetas, dim=1)], (), torch).sum().backward()
            optimizer.step()
        return torch.stack(thetas).detach().cpu().numpy()

    return advance
