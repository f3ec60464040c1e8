"""Numbers as the commands' files hold them."""

from __future__ import annotations

import math


def rounded(value: float, digits: int) -> float | None:
    """Return a number with so many digits, and None, JSON's null, for NaN and infinity."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
