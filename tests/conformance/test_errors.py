"""Bad hyperparameters: the core's own words in every adapter, by construction or in the step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from indian_core import METHODS, checked
from indian_core.testing import Driver, Settings
from tests.conformance.compare import FLOAT64, assert_same_bits, hidden, relative_error
from tests.conformance.trajectories import OPEN_LOOP

BAD: list[Any] = [-0.5, float("nan"), float("inf"), 10**400, "0.1", [0.1, 0.2], True]
CASES = [
    (method, name, value)
    for method, entry in METHODS.items()
    for name, hyperparameter in entry.numbers.items()
    for value in [
        *BAD,
        *([0.0] if hyperparameter.positive else []),
        *([1.0] if hyperparameter.below == 1 else []),
        *([1.5] if hyperparameter.at_most == 1 else []),
    ]
    if not (value == [0.1, 0.2] and name in ("beta_1", "beta_2"))
]
# The names that frameworks have for a number, as their errors show them.
NAMES = {"lr": "learning rate", "eps": "eps(ilon)?", "beta_1": r"(beta_1|b1|betas\[0\])"}
NAMES["beta_2"] = r"(beta_2|b2|betas\[1\])"


@pytest.mark.parametrize(
    ("which", "name", "value"), CASES, ids=[f"{m}-{n}={str(v)[:9]}" for m, n, v in CASES]
)
def test_a_bad_value_is_refused_by_name(driver: type, which: str, name: str, value: Any) -> None:
    if (
        which == "DampedSGD"
        and name == "weight_decay"
        and getattr(driver, "has_no_sgd_decay", False)
    ):
        pytest.skip("the framework's SGD has no weight decay")
    with pytest.raises((TypeError, ValueError)) as expected:
        checked(name, value)
    words = NAMES.get(name, name.replace("_", ".")) + ".*" + re.escape(str(value))[:20]
    lrs = [value if name == "lr" else 0.1] * 3
    numbers = {} if name == "lr" else {name: value}
    with pytest.raises(expected.type, match=words):
        driver(
            OPEN_LOOP[0].theta_0, Settings(lrs, numbers, which), driver.variants[0], "float64"
        ).step(OPEN_LOOP[0].gradients[0])


@pytest.mark.parametrize("edited", [False, True])
@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ("DampedSGD", {"momentum": 0.9, "damping": 0.05}),
        ("DampedSGD", {"momentum": 0.9, "nesterov": True, "damping": 0.3}),
        ("DampedAdamW", {"beta_1": 0.5}),
    ],
)
def test_a_damping_that_does_not_go_with_the_momentum_is_refused(
    driver: type, which: str, numbers: dict[str, Any], edited: bool
) -> None:
    if edited:
        run = begun(driver, which, {1: numbers})
        with pytest.raises(ValueError, match="damping"), unchanged(run, which):
            run.step(OPEN_LOOP[0].gradients[1])
        return
    with pytest.raises(ValueError, match="damping"):
        begun(driver, which, **numbers)


def test_an_unknown_argument_is_python_s_own_error(driver: type, method: str) -> None:
    with pytest.raises(TypeError, match="dampingg"):
        driver.methods[method](**{"dampingg": 0.3})


def test_rounding_dust_at_the_end_of_a_schedule_is_a_rate_of_0(driver: type, method: str) -> None:
    theta_0, gradients = OPEN_LOOP[0].theta_0, OPEN_LOOP[0].gradients
    runs = [
        driver(theta_0, Settings([0.1, last], {}, method), driver.variants[0], "float64")
        for last in (-3e-18, 0.0)
    ]
    for run in runs:
        run.step(gradients[0])
        run.step(gradients[1])
    assert relative_error(runs[0].theta(), runs[1].theta()) <= FLOAT64


MISFITS = {
    "one number": lambda array: array.reshape(-1)[:1],
    "one axis more": lambda array: array[None],
    "longer": lambda array: np.concatenate([array, array]),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_gradient_of_another_shape_is_refused(driver: type, method: str, misfit: str) -> None:
    run, (first, second, third) = begun(driver, method), OPEN_LOOP[0].gradients[1]
    errors = (ValueError, RuntimeError)  # torch's own
    with pytest.raises(errors, match=r"shape|gradient"), unchanged(run, method):
        run.step([first, MISFITS[misfit](second), third])


@pytest.mark.parametrize("misfit", MISFITS)
def test_a_psi_of_another_shape_is_refused(driver: type, paper_method: str, misfit: str) -> None:
    run = begun(driver, paper_method)
    first, second, third = run.psi()
    with pytest.raises(ValueError, match=r"psi|shape"), unchanged(run, paper_method):
        run.set_psi([first, MISFITS[misfit](second), third])


def begun(driver: type, which: str, edits: Any = None, **numbers: Any) -> Driver:
    """Return a run of a method that has made a step."""
    settings = Settings([0.1] * 3, numbers, which, edits or {})
    run: Driver = driver(OPEN_LOOP[0].theta_0, settings, driver.variants[0], "float64")
    run.step(OPEN_LOOP[0].gradients[0])
    return run


@contextmanager
def unchanged(run: Driver, method: str) -> Iterator[None]:
    """Assert that an error has changed nothing."""
    before = [*run.theta(), *hidden(run, method)]
    try:
        yield
    finally:
        assert_same_bits([*run.theta(), *hidden(run, method)], before)
