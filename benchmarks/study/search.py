"""Which rates to try: octaves until the best is between two worse ones, then half octaves by it.

A rate is 0.01 · 2^(k/2) for a whole number k. The losses of a search are by k. Those of diverged
runs are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

OCTAVE = 2
MOST = 24  # rates: a search that needs more has no best rate


def rate(k: int) -> float:
    """Return the rate of a place on the grid."""
    return float(f"{0.01 * 2 ** (k / 2):.4g}")


def place(value: float) -> int:
    """Return the place of a rate on the grid.

    Raises:
        ValueError: If the rate is not on the grid.
    """
    k = round(2 * math.log2(value / 0.01))
    if not math.isclose(rate(k), value, rel_tol=1e-3):
        raise ValueError(f"Invalid rate: {value} (it is on no half octave of 0.01)")
    return k


def winner(losses: Mapping[int, float]) -> int:
    """Return the place of the lowest loss."""
    return min(losses, key=losses.__getitem__)


def at_edge(losses: Mapping[int, float]) -> bool:
    """Return whether the lowest loss is that of the lowest or the highest rate tried."""
    best = winner(losses)
    return best in (min(losses), max(losses)) or math.isinf(losses[best])


def wanted(losses: Mapping[int, float], first: Sequence[int], halves: bool) -> list[int]:
    """Return the places to try next, or [] when the search has ended.

    Args:
        losses: The losses so far.
        first: The octaves to begin with.
        halves: Whether the half octaves beside the best octave are tried as well.
    """
    missing = [k for k in first if k not in losses]
    if missing or len(losses) >= MOST:
        return missing
    best = winner(losses)
    if math.isinf(losses[best]) or best == min(losses):
        return [min(losses) - OCTAVE]
    if best == max(losses):
        return [max(losses) + OCTAVE]
    return [k for k in (best - 1, best + 1) if halves and best % OCTAVE == 0 and k not in losses]
