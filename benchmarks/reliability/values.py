"""Values that people pass as a hyperparameter, each with the number, if any, it stands for."""

from __future__ import annotations

import datetime
import decimal
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np


class _Thing:
    """No number. Its copy is the thing itself, so that a container of it equals its own copy."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _Thing:
        return self


class Value(NamedTuple):
    """A value, the number that it stands for, and whether all digits of the number are kept."""

    label: str
    value: Any
    number: float | None
    exact: bool = True


NUMPY_REALS = (np.float16, np.float32, np.float64, np.longdouble)
NUMPY_INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)


def general() -> list[Value]:
    """Return values that need no framework."""
    numbers: list[Any] = [
        *(0, 1, 3, -1, 0.0, -0.0, 0.25, 0.3, 1.5, 1e-12, 5e-324, -5e-324, -0.1, -1e300, 1e300),
        *(math.nan, math.inf, -math.inf),
        *(Fraction(1, 4), Fraction(1, 3), Fraction(-1, 3), Fraction(1, 10**400), Fraction(0)),
        *(kind(x) for kind in NUMPY_REALS for x in (0.3, -0.3, 0.0, math.nan, math.inf)),
        *(kind(x) for kind in NUMPY_INTEGERS for x in (0, 1, 3)),
        *(np.int8(-1), np.int64(-3)),
    ]
    values = [Value(_label(x), x, float(x)) for x in numbers]
    values += [
        Value("10**400", 10**400, math.inf),
        Value("-10**400", -(10**400), -math.inf),
        Value("a Fraction of 10**400", Fraction(10**400), math.inf),
    ]
    others: list[Any] = [
        *(None, True, False, np.True_, "0.1", "", b"0.1", "beta", 1j, np.complex64(1)),
        *(complex("nan"), [0.1], (0.1,), [], {}, {"lr": 0.1}, {0.1}, range(1), _Thing(), type),
        *(float, Ellipsis, np.array([0.1]), np.array([0.1, 0.2]), np.array([]), np.array("0.1")),
        *(np.array(None), datetime.timedelta(1), datetime.date(2020, 1, 1)),
        *(np.datetime64("2020"), np.timedelta64(1), decimal.Decimal("0.1"), decimal.Decimal("NaN")),
        *(slice(1), NotImplemented, bytearray(b"1")),
    ]
    return values + [Value(_label(x), x, None) for x in others]


def _label(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


def usable(name: str, number: float | None) -> bool:
    """Return whether a hyperparameter of this name may have this number."""
    if number is None or not math.isfinite(number) or number < 0:
        return False
    if name == "momentum":
        return number <= 1
    if name == "damping":  # for a momentum of 0.9
        return 0.1 <= number <= 1
    if name == "sigma":
        return number < 1
    return number > 0 or name not in ("beta", "reference_lr", "safety")
