"""Colours and line styles that colour-blind readers can tell apart, and bands between curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

# Okabe and Ito's palette.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
# Equal curves drawn over one another must all be visible, so a broad pale line lies under broken
# ones.
LINES: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "linewidth": 4.0, "alpha": 0.35},
    {"linestyle": (0, (5, 4)), "linewidth": 1.5},
    {"linestyle": (0, (1, 2)), "linewidth": 2.0},
    {"linestyle": (0, (8, 3, 1, 3)), "linewidth": 1.0},
)


def band(axes: Axes, x: Sequence[float], curves: np.ndarray, colour: str) -> None:
    """Shade the area between the lowest and the highest of the curves."""
    low, high = curves.min(axis=0), curves.max(axis=0)
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
