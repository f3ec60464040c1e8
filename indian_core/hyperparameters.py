"""The hyperparameters: defaults, bounds, and one check and one error text for every framework.

INDIAN starts from rest by default, as in the authors' PyTorch code. The paper's own start, an
initial velocity of minus the gradient, is s = 1 (section 5.2.1). The paper's (α, β) = (0.5, 0.1)
"might be a good default choice" (section 5.2.2). `PAPER` has these three values.

With α = 0.1, γ is SGD's learning rate at momentum 0.9 (γ/α = lr/(1 − m)), and with β = 2 the
damping αβ is 0.2. docs/evidence.md says what these defaults do.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Hyperparameter(NamedTuple):
    """The properties of a hyperparameter, independent of its name in a framework.

    Attributes:
        default: The default. None means the value of another hyperparameter, or no value.
        symbol: The symbol in the equations.
        positive: Whether 0 is invalid. Negative, NaN and infinite values always are.
        below: The value must be less than this.
        at_most: The value must not be greater than this.
    """

    default: Any
    symbol: str
    positive: bool = False
    below: float = math.inf
    at_most: float = math.inf


class Method(NamedTuple):
    """A method: how the scalars of its linear step follow from its numbers, and what u is.

    Attributes:
        law: "paper" (γ, α and β; `indian_core.coefficients`) or "momentum" (lr, momentum and
            damping; `indian_core.momentum_law`).
        scaled: Whether u is the gradient over its root mean square, instead of the gradient.
        numbers: The hyperparameters, by name.
    """

    law: str
    scaled: bool
    numbers: Mapping[str, Hyperparameter]


# A default of None is that of the framework's own optimizer: of its SGD or AdamW.
METHODS = {
    "INDIAN": Method(
        "paper",
        False,
        {
            "lr": Hyperparameter(0.1, "γ"),
            "alpha": Hyperparameter(0.1, "α"),
            "beta": Hyperparameter(2.0, "β", positive=True),
            "initial_speed": Hyperparameter(None, "s"),  # None means β, from rest
            "weight_decay": Hyperparameter(0.0, "λ"),
        },
    ),
    # The defaults of INNAprop's authors. INNAprop always starts from rest.
    "INNAprop": Method(
        "paper",
        True,
        {
            "lr": Hyperparameter(1e-3, "γ"),
            "alpha": Hyperparameter(0.1, "α"),
            "beta": Hyperparameter(0.9, "β", positive=True),
            "sigma": Hyperparameter(0.999, "σ", below=1.0),
            "eps": Hyperparameter(1e-8, "ε"),
            "weight_decay": Hyperparameter(0.01, "λ"),
        },
    ),
    "DampedSGD": Method(
        "momentum",
        False,
        {
            "lr": Hyperparameter(None, "lr"),
            "momentum": Hyperparameter(None, "m", at_most=1.0),
            "damping": Hyperparameter(None, "d", at_most=1.0),  # None means SGD's own
            "weight_decay": Hyperparameter(None, "λ"),
        },
    ),
    "DampedAdamW": Method(
        "momentum",
        True,
        {
            "lr": Hyperparameter(None, "lr"),
            "beta_1": Hyperparameter(None, "m", below=1.0),
            "beta_2": Hyperparameter(None, "σ", below=1.0),
            "eps": Hyperparameter(None, "ε"),
            "damping": Hyperparameter(0.3, "d", at_most=1.0),
            "weight_decay": Hyperparameter(None, "λ"),
        },
    ),
}
"""The methods: the one table that every implementation and the conformance suite follow."""
OTHER_NAMES = {
    "learning_rate": "lr",
    "epsilon": "eps",
    "eps_root": "eps",
    "b1": "beta_1",
    "b2": "beta_2",
    "betas[0]": "beta_1",
    "betas[1]": "beta_2",
}
"""The table's name for each hyperparameter that has another name in some framework."""

_INDIAN = METHODS["INDIAN"].numbers
LR = _INDIAN["lr"].default
"""INDIAN's default γ."""
ALPHA = _INDIAN["alpha"].default
"""INDIAN's default α."""
BETA = _INDIAN["beta"].default
"""INDIAN's default β."""
INITIAL_SPEED = _INDIAN["initial_speed"].default
"""INDIAN's default initial speed: None, a start from rest."""
DAMPING = METHODS["DampedAdamW"].numbers["damping"].default
"""DampedAdamW's default damping."""

PAPER = {"alpha": 0.5, "beta": 0.1, "initial_speed": 1.0}
"""The paper's own values, for `INDIAN(params, lr, **PAPER)`."""

_BOUNDS = {name: each for method in METHODS.values() for name, each in method.numbers.items()}
# A schedule that ends at 0 may end a rounding error less: such a rate is 0.
_DUST = 1e-12
_ANY = Hyperparameter(None, "")
# What the error texts call an argument if not by its name. It is torch's own wording, which the
# users of every framework understand.
_WORDS = {
    "lr": "learning rate",
    "learning_rate": "learning rate",
    "weight_decay": "weight_decay value",
}
_LONGEST = 60  # characters of a value in an error text


def checked_hyperparameters(**values: Any) -> dict[str, float]:
    """Return hyperparameters as Python floats, or raise at once if one is invalid.

    Args:
        **values: Any of ``lr``, ``learning_rate``, ``alpha``, ``beta``, ``initial_speed``,
            ``weight_decay``, ``eps``, ``sigma`` and others, each a real number. All must be finite
            and not negative, ``beta`` must be positive, and ``sigma`` must be less than 1.

    Returns:
        The same names with the values as floats.

    Raises:
        TypeError: If a value is not a real number (a bool does not count as one).
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

    The result is a float so that later computations use double precision. A NumPy scalar would use
    its own precision, and a tensor cannot be multiplied by a Fraction.

    Args:
        name: The argument's name, for the bounds and the error text.
        value: The user's value, any real number or a 0-dim NumPy array.
        positive: Whether zero is invalid too. None, the default, means the rule for a
            hyperparameter of this name.
        below: The value must be less than this. None, the default, means the bound for a
            hyperparameter of this name, which is infinity for most.

    Returns:
        The value.

    Raises:
        TypeError: If the value is not a real number.
        ValueError: If the value is NaN, infinite (as a float) or out of range.

    Examples:
        >>> checked("lr", 1)
        1.0
    """
    word = _WORDS.get(name, name)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    # NumPy treats a time as an integer.
    if isinstance(value, np.generic) and not isinstance(value, np.timedelta64):
        value = value.item()
    if isinstance(value, bool | np.timedelta64) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"Invalid {word}: {_short(repr(value))} "
            f"(it must be a real number, not {type(value).__name__})"
        )
    bounds = _BOUNDS.get(OTHER_NAMES.get(name, name), _ANY)
    at_most = bounds.at_most
    positive = bounds.positive if positive is None else positive
    below = bounds.below if below is None else below
    try:
        number = float(value)
    except OverflowError:  # an integer or a Fraction too large for a float
        number = math.inf
    if -_DUST <= number < 0 and OTHER_NAMES.get(name, name) == "lr":
        number = 0.0
    # A positive Fraction may be zero as a float.
    if not 0 <= number < below or number > at_most or (positive and number == 0):
        bound = "> 0" if positive else ">= 0"
        if below < math.inf:
            bound = f"{bound} and < {below:g}"
        else:
            bound = f"{bound} and <= {at_most:g}" if at_most < math.inf else f"finite and {bound}"
        raise ValueError(f"Invalid {word}: {_short(str(value))} (it must be {bound})")
    return number


def checked_start(initial_speed: Any, beta: Any) -> Any:
    """Return s: the checked value if one is given, or β for None, a start from rest.

    Args:
        initial_speed: s ≥ 0, a real number, or None.
        beta: β.

    Raises:
        TypeError: If s is not a real number.
        ValueError: If s is NaN, infinite or negative.

    Examples:
        >>> checked_start(None, beta=0.1), checked_start(1, beta=0.1)
        (0.1, 1.0)
    """
    return beta if initial_speed is None else checked("initial_speed", initial_speed)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
