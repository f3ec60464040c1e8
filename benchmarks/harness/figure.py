"""Colours and lines that the colour-blind tell apart, and how a figure becomes a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

# Okabe and Ito's.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
# Drawn over one another, equal curves must all show: a broad pale line under broken ones.
LINES: tuple[dict[str, Any], ...] = (
    {"linestyle": "-", "linewidth": 4.0, "alpha": 0.35},
    {"linestyle": (0, (5, 4)), "linewidth": 1.5},
    {"linestyle": (0, (1, 2)), "linewidth": 2.0},
    {"linestyle": (0, (8, 3, 1, 3)), "linewidth": 1.0},
)


def save(figure: Figure, path: Path) -> None:
    """Write a figure into a PNG file that depends on nothing but the figure."""
    figure.savefig(path, dpi=110, metadata={"Software": None})
