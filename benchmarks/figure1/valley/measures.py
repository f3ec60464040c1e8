"""What is measured on a path through the valley, (points, 2)."""

from __future__ import annotations

import numpy as np

from . import PROBLEM


def losses(path: np.ndarray) -> np.ndarray:
    """Return J at every point; the path may have more dimensions before the last."""
    values: np.ndarray = PROBLEM.loss([np.moveaxis(path, -1, 0)], ())
    return values


def across(path: np.ndarray) -> np.ndarray:
    """Return θ_2 − |θ_1| at every point: where it stands across the valley, whose floor is 0."""
    return path[:, 1] - np.abs(path[:, 0])


def travel(coordinate: np.ndarray) -> float:
    """Return the way made in a coordinate, there and back: the sum of its absolute changes."""
    return float(np.abs(np.diff(coordinate)).sum())


def swings(coordinate: np.ndarray, least: float) -> int:
    """Return how often a coordinate turns back, by turns of more than `least`.

    A parasite oscillation is such turns: an overdamped way to the floor has none.

    Args:
        coordinate: Its values along the path.
        least: Between two turns that are counted it changes by more than this.
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
