"""One check and one error text for every adapter."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from indian_core import (
    ALPHA,
    BETA,
    INITIAL_SPEED,
    LR,
    PAPER,
    checked,
    checked_hyperparameters,
    checked_start,
    coefficients,
)


def test_the_defaults_and_the_papers_numbers() -> None:
    # With SGD's own learning rate, at momentum 0.9, the step size lr/(1 − m) is SGD's.
    assert (ALPHA, BETA, INITIAL_SPEED) == (0.1, 2.0, None)
    assert PAPER == {"alpha": 0.5, "beta": 0.1, "initial_speed": 1.0}
    checked_hyperparameters(lr=LR, **PAPER)


def test_no_initial_speed_is_a_start_from_rest() -> None:
    assert checked_start(None, beta=0.3) == 0.3
    assert coefficients(0.1, 0.5, 0.3, None, True) == coefficients(0.1, 0.5, 0.3, 0.3, True)
    with pytest.raises(ValueError, match="Invalid initial_speed: -1"):
        checked_start(-1, beta=0.3)


@pytest.mark.parametrize(
    "value",
    [0, 0.0, 1, 2.5, np.float32(0.1), np.uint8(3), np.longdouble(2), np.array(0.5), Fraction(1, 3)],
)
def test_real_numbers_become_floats(value: Any) -> None:
    number = checked("alpha", value)
    assert type(number) is float
    assert number == float(value)
    assert checked_hyperparameters(lr=value) == {"lr": number}


def test_the_error_names_the_argument_the_value_and_the_bound() -> None:
    with pytest.raises(ValueError, match=r"^Invalid beta: 0 \(it must be finite and > 0\)$"):
        checked_hyperparameters(alpha=0.5, beta=0)
    with pytest.raises(ValueError, match=r"^Invalid sigma: 1 \(it must be >= 0 and < 1\)$"):
        checked("sigma", 1)
    with pytest.raises(ValueError, match=r"^Invalid alpha: [0-9]{60}\.\.\. \("):
        checked("alpha", 10**400)
    with pytest.raises(
        TypeError, match=r"^Invalid learning rate: '0.1' \(it must be a real number"
    ):
        checked("learning_rate", "0.1")


# What is out of every method's range: tests/conformance.
@pytest.mark.parametrize("value", [-1e-11, -float("inf"), Fraction(10**400, 3)])
def test_out_of_range_is_a_value_error(value: Any) -> None:
    with pytest.raises(ValueError, match="alpha"):
        checked("alpha", value)


def test_what_underflows_is_not_positive() -> None:
    with pytest.raises(ValueError, match="beta"):
        checked("beta", Fraction(1, 10**400))


@pytest.mark.parametrize("name", ["lr", "learning_rate"])
def test_a_rate_that_misses_zero_by_rounding_is_zero(name: str) -> None:
    assert checked(name, -3e-18) == 0.0
    assert math.copysign(1.0, checked(name, -3e-18)) == 1.0
    with pytest.raises(ValueError, match="alpha"):
        checked("alpha", -3e-18)


@pytest.mark.parametrize(
    "value",
    ["0.1", None, [0.1], 1j, True, np.True_, timedelta(1), np.timedelta64(1), np.array([0.1])],
)
def test_what_is_no_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="alpha"):
        checked("alpha", value)
