"""Bad hyperparameters: the core's own words in every adapter, by construction or in the step."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from indian_core import METHODS, checked
from indian_core.testing import Driver, Settings
from tests.conformance.compare import assert_same_bits
from tests.conformance.trajectories import OPEN_LOOP

BAD: list[Any] = [-0.5, float("nan"), float("inf"), 10**400, "0.1", [0.1, 0.2], True]
CASES = [
    (method, name, value)
    for method, table in METHODS.items()
    for name, hyperparameter in table.items()
    for value in [
        *BAD,
        *([0.0] if hyperparameter.positive else []),
        *([1.0] if hyperparameter.below == 1 else []),
    ]
]


@pytest.mark.parametrize(
    ("which", "name", "value"), CASES, ids=[f"{m}-{n}={str(v)[:9]}" for m, n, v in CASES]
)
def test_a_bad_value_is_refused_by_name(driver: type, which: str, name: str, value: Any) -> None:
    if which not in driver.methods:
        pytest.skip(f"this adapter has no {which}")
    with pytest.raises((TypeError, ValueError)) as expected:
        checked(name, value)
    words = re.escape(str(expected.value)).replace("Invalid\\ eps:", "Invalid eps(ilon)?:")
    lrs = [value if name == "lr" else 0.1] * 3
    numbers = {} if name == "lr" else {name: value}
    with pytest.raises(expected.type, match=words):
        driver(
            OPEN_LOOP[0].theta_0, Settings(lrs, numbers, which), driver.variants[0], "float64"
        ).step(OPEN_LOOP[0].gradients[0])


@pytest.mark.parametrize("name", ["betas", "initial_speed"])
def test_arguments_of_another_method_are_sent_where_they_belong(driver: type, name: str) -> None:
    if "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    words = {"betas": "from_adam", "initial_speed": "starts from rest"}[name]
    with pytest.raises(TypeError, match=words):
        driver(
            OPEN_LOOP[0].theta_0,
            Settings([0.1], {name: 0.9}, "INNAprop"),
            driver.variants[0],
            "float64",
        )


@pytest.mark.parametrize("name", ["betas", "momentum"])
def test_indian_says_where_the_arguments_of_sgd_and_adam_belong(driver: type, name: str) -> None:
    words = {"betas": "from_adam takes", "momentum": "from_sgd takes"}[name]
    with pytest.raises(TypeError, match=words):
        driver(OPEN_LOOP[0].theta_0, Settings([0.1], {name: 0.9}), driver.variants[0], "float64")


MISFITS = {
    "one number": lambda array: array.reshape(-1)[:1],
    "one axis more": lambda array: array[None],
    "longer": lambda array: np.concatenate([array, array]),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("which", METHODS)
def test_a_gradient_of_another_shape_is_refused(driver: type, which: str, misfit: str) -> None:
    run, (first, *others) = begun(driver, which), OPEN_LOOP[0].gradients[1]
    before = [*run.theta(), *run.psi()]
    with pytest.raises((ValueError, RuntimeError), match=r"shape|gradient"):  # (torch's own)
        run.step([MISFITS[misfit](first), *others])
    assert_same_bits([*run.theta(), *run.psi()], before)


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("which", METHODS)
def test_a_psi_of_another_shape_is_refused(driver: type, which: str, misfit: str) -> None:
    run = begun(driver, which)
    before = [*run.theta(), *run.psi()]
    first, *others = run.psi()
    with pytest.raises(ValueError, match=r"psi|shape"):
        run.set_psi([MISFITS[misfit](first), *others])
    assert_same_bits([*run.theta(), *run.psi()], before)


def begun(driver: type, which: str) -> Driver:
    """Return a run of a method that has made a step."""
    if which not in driver.methods:
        pytest.skip(f"this adapter has no {which}")
    run: Driver = driver(
        OPEN_LOOP[0].theta_0, Settings([0.1] * 3, {}, which), driver.variants[0], "float64"
    )
    run.step(OPEN_LOOP[0].gradients[0])
    return run
