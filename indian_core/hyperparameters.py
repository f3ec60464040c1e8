"""The hyperparameters: defaults, bounds, and one check and one error text for every adapter.

INDIAN starts from rest unless told otherwise, as in the authors' PyTorch code. The paper's own
start, an initial velocity of minus the gradient, is s = 1 (section 5.2.1); its (α, β) = (0.5, 0.1)
"might be a good default choice" (section 5.2.2). `PAPER` has the three.

The defaults here are the study's (docs/when.md): α = 0.1, with which γ is SGD's learning rate at
momentum 0.9 (γ/α = lr/(1 − m)), and β = 2, so that αβ = 0.2. Of (0.5, 0.5), (0.1, 3) and (0.1, 2)
it was the best or nearly so on every problem.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np


class Hyperparameter(NamedTuple):
    """What is known of a hyperparameter, whatever a framework calls it.

    Attributes:
        default: Its default. (None: another one's value, or none.)
        symbol: What the equations call it.
        positive: Whether it may not be 0. None may be negative, NaN or infinite.
        below: What it must be less than.
    """

    default: Any
    symbol: str
    positive: bool = False
    below: float = math.inf


METHODS = {
    "INDIAN": {
        "lr": Hyperparameter(0.1, "γ"),
        "alpha": Hyperparameter(0.1, "α"),
        "beta": Hyperparameter(2.0, "β", positive=True),
        "initial_speed": Hyperparameter(None, "s"),  # None: β, from rest
        "weight_decay": Hyperparameter(0.0, "λ"),
        "reference_lr": Hyperparameter(None, "c", positive=True),  # None: α and β are constant
    },
    # The defaults of its authors. (It always starts from rest.)
    "INNAprop": {
        "lr": Hyperparameter(1e-3, "γ"),
        "alpha": Hyperparameter(0.1, "α"),
        "beta": Hyperparameter(0.9, "β", positive=True),
        "sigma": Hyperparameter(0.999, "σ", below=1.0),
        "eps": Hyperparameter(1e-8, "ε"),
        "weight_decay": Hyperparameter(0.01, "λ"),
        "reference_lr": Hyperparameter(None, "c", positive=True),
    },
}
"""The hyperparameters of each method, by the names that they have in PyTorch."""
OTHER_NAMES = {"learning_rate": "lr", "epsilon": "eps"}
"""What a framework calls a hyperparameter, where PyTorch's name is another."""

LR = METHODS["INDIAN"]["lr"].default
"""INDIAN's γ where nothing is said."""
ALPHA = METHODS["INDIAN"]["alpha"].default
"""INDIAN's α where nothing is said."""
BETA = METHODS["INDIAN"]["beta"].default
"""INDIAN's β where nothing is said."""
INITIAL_SPEED = METHODS["INDIAN"]["initial_speed"].default
"""INDIAN's start where nothing is said: None, from rest."""

PAPER = {"alpha": 0.5, "beta": 0.1, "initial_speed": 1.0}
"""The paper's own numbers: `INDIAN(params, lr, **PAPER)`."""

_BOUNDS = METHODS["INNAprop"] | METHODS["INDIAN"]
_ANY = Hyperparameter(None, "")
# What the error texts call an argument, where that is not its name: torch's own wording, which
# the users of every framework understand.
_WORDS = {
    "lr": "learning rate",
    "learning_rate": "learning rate",
    "weight_decay": "weight_decay value",
}
# What to say of arguments that users of another optimizer will try.
_HINTS = {
    "betas": "from_adam takes Adam's betas",
    "beta_1": "from_adam takes Adam's beta_1 and beta_2",
    "b1": "from_adam takes Adam's b1 and b2",
    "momentum": "from_sgd takes SGD's momentum",
    "initial_speed": "it starts from rest",
}
_LONGEST = 60  # characters of a value in an error text


def checked_hyperparameters(**values: Any) -> dict[str, float]:
    """Return hyperparameters as Python floats, or raise at once if one cannot be used.

    Args:
        **values: Any of ``lr``, ``learning_rate``, ``alpha``, ``beta``, ``initial_speed``,
            ``weight_decay``, ``eps``, ``sigma`` and others, each a real number. All must be finite
            and not negative; ``beta`` must be positive, and ``sigma`` less than 1.

    Returns:
        The same names with the values as floats.

    Raises:
        TypeError: If a value is not a real number (a bool is not taken for one).
        ValueError: If a value is NaN, infinite or out of range.

    Examples:
        >>> from fractions import Fraction
        >>> checked_hyperparameters(lr=Fraction(1, 4), alpha=1)
        {'lr': 0.25, 'alpha': 1.0}
        >>> checked_hyperparameters(beta=0.0)
        Traceback (most recent call last):
        ValueError: Invalid beta: 0.0 (it must be finite and > 0)
    """
    return {name: checked(name, value) for name, value in values.items()}


def checked(
    name: str, value: Any, *, positive: bool | None = None, below: float | None = None
) -> float:
    """Return a finite real number ≥ 0, or > 0 if ``positive``, as a Python float.

    A float, so that what is worked out with it is worked out in double precision: a NumPy scalar
    would bring a precision of its own, and a Fraction is nothing that a tensor is multiplied by.

    Args:
        name: The argument's name, for the error text.
        value: What the user gave: any real number, or a NumPy array without dimensions.
        positive: Whether zero is refused as well. None: as it is for a hyperparameter of this name.
        below: What the value must be less than. None: likewise, which is infinity for most.

    Returns:
        The value.

    Raises:
        TypeError: If the value is not a real number.
        ValueError: If it is NaN, infinite (as a float) or out of range.

    Examples:
        >>> checked("lr", 1)
        1.0
    """
    word = _WORDS.get(name, name)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    # (NumPy takes a time for an integer.)
    if isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = value.item()
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, numbers.Real):
        hint = "; " + _HINTS["betas"] if name == "beta" and isinstance(value, tuple | list) else ""
        raise TypeError(
            f"Invalid {word}: {_short(repr(value))} "
            f"(it must be a real number, not {type(value).__name__}{hint})"
        )
    bounds = _BOUNDS.get(OTHER_NAMES.get(name, name), _ANY)
    positive = bounds.positive if positive is None else positive
    below = bounds.below if below is None else below
    try:
        number = float(value)
    except OverflowError:  # an integer or a Fraction beyond what a float holds
        number = math.inf
    # (A Fraction may be positive and a float zero.)
    if not 0 <= number < below or (positive and number == 0):
        bound = "> 0" if positive else ">= 0"
        bound = f"finite and {bound}" if below == math.inf else f"{bound} and < {below:g}"
        raise ValueError(f"Invalid {word}: {_short(str(value))} (it must be {bound})")
    return number


def checked_start(initial_speed: Any, beta: Any) -> Any:
    """Return s: what was given, checked, or β for None, which is a start from rest.

    Args:
        initial_speed: s ≥ 0, a real number, or None.
        beta: β.

    Raises:
        TypeError: If s is not a real number.
        ValueError: If it is NaN, infinite or negative.

    Examples:
        >>> checked_start(None, beta=0.1), checked_start(1, beta=0.1)
        (0.1, 1.0)
    """
    return beta if initial_speed is None else checked("initial_speed", initial_speed)


def refuse_arguments(method: str, names: Iterable[str]) -> None:
    """Raise if there are arguments that a method has not, and say where they belong.

    Args:
        method: What the user called.
        names: The names of the arguments that are left over.

    Raises:
        TypeError: If there are any.

    Examples:
        >>> refuse_arguments("INNAprop", ["betas"])
        Traceback (most recent call last):
        TypeError: INNAprop() got an unexpected argument 'betas' (from_adam takes Adam's betas)
    """
    for name in names:
        hint = f" ({_HINTS[name]})" if name in _HINTS else ""
        raise TypeError(f"{method}() got an unexpected argument {name!r}{hint}")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
