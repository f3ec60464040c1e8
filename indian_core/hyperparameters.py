"""The defaults, and one check and one error text for each hyperparameter of every adapter.

The defaults are the paper's: (α, β) = (0.5, 0.1) "might be a good default choice" (section 5.2.2)
and an initial velocity of minus the gradient, s = 1 (section 5.2.1).
"""

from __future__ import annotations

import math
import numbers
from typing import Any

LR = 0.1
ALPHA = 0.5
BETA = 0.1
INITIAL_SPEED = 1.0

# What the error texts call an argument, where that is not its name: torch's own wording, which
# the users of every framework understand.
_WORDS = {"lr": "learning rate", "learning_rate": "learning rate"}


def check_hyperparameters(**values: Any) -> None:
    """Raise at once if a hyperparameter cannot be used.

    Args:
        **values: Any of ``lr``, ``learning_rate``, ``alpha``, ``beta``, ``initial_speed``,
            ``weight_decay``, ``initial_lr`` and ``power``, each a real number. All must be finite;
            ``beta`` must be positive and the others must not be negative.

    Raises:
        TypeError: If a value is not a real number (a bool is not taken for one).
        ValueError: If a value is NaN, infinite or out of range.

    Example:
        >>> check_hyperparameters(lr=0.1, alpha=0.5, beta=0.1)
        >>> check_hyperparameters(beta=0.0)
        Traceback (most recent call last):
        ValueError: Invalid beta: 0.0 (it must be finite and > 0)
    """
    for name, value in values.items():
        check(name, value, positive=name == "beta")


def check(name: str, value: Any, *, positive: bool = False) -> None:
    """Raise unless ``value`` is a finite real number ≥ 0, or > 0 if ``positive``.

    Args:
        name: The argument's name, for the error text.
        value: What the user gave.
        positive: Whether zero is refused as well.

    Raises:
        TypeError: If the value is not a real number.
        ValueError: If it is NaN, infinite or out of range.
    """
    word = _WORDS.get(name, name)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"Invalid {word}: {value!r} (it must be a real number, not {type(value).__name__})"
        )
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        bound = "> 0" if positive else ">= 0"
        raise ValueError(f"Invalid {word}: {value} (it must be finite and {bound})")
