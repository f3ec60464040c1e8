"""Numbers as the commands take them, and as their files hold them."""

from __future__ import annotations

import argparse
import math


def positive(text: str) -> int:
    """Return the positive whole number that a command's argument says, for argparse."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def rounded(value: float, digits: int) -> float | None:
    """Return a number with so many digits, and None, JSON's null, for NaN and infinity."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
