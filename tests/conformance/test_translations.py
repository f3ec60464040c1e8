"""`from_sgd` and `from_adam` mean one thing in every adapter: the core's numbers, exact runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from indian_core import from_adam, from_sgd
from indian_core.testing import Settings
from tests.conformance.compare import FLOAT64, relative_error
from tests.conformance.trajectories import OPEN_LOOP

GRADIENTS, THETA = OPEN_LOOP[0].gradients, OPEN_LOOP[0].theta_0
STEPS = 30

SGDS: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    {"lr": 0.04, "momentum": 0.95, "damping": 0.3},
    {"lr": 0.04, "momentum": 0.5, "damping": 1.0},
]
ADAMS: list[dict[str, Any]] = [
    {"lr": 0.01},
    {"lr": 0.01, "betas": (0.95, 0.99), "eps": 1e-3, "damping": 0.3},
    {"lr": 0.1, "betas": (0.0, 0.9), "weight_decay": 0.1},
]


def qhm(lr: float, momentum: float = 0.0, nesterov: bool = False, damping: Any = None) -> Any:
    """SGD with d in the place of its damping, by hand."""
    m = momentum
    d = damping if damping is not None else 1 - m**2 if nesterov else 1 - m
    nu = (1 - d) / m if m else 1.0
    theta, buffer = [t.copy() for t in THETA], [np.zeros_like(t) for t in THETA]
    for v in GRADIENTS[:STEPS]:
        buffer = [m * b + (1 - m) * g for b, g in zip(buffer, v, strict=True)]
        theta = [
            t - lr / (1 - m) * ((1 - nu) * g + nu * b)
            for t, g, b in zip(theta, v, buffer, strict=True)
        ]
    return theta


def after_the_steps(run: Any) -> Any:
    for v in GRADIENTS[:STEPS]:
        run.step(v)
    return run.theta()


@pytest.mark.parametrize("arguments", SGDS, ids=str)
def test_from_sgd_makes_the_steps_of_that_sgd(driver: type, arguments: dict[str, Any]) -> None:
    run = driver.translated("from_sgd", THETA, arguments)
    found = after_the_steps(run)
    assert relative_error(found, qhm(**arguments)) <= FLOAT64
    lr, alpha, beta, speed = from_sgd(**arguments)
    numbers = {"alpha": alpha, "beta": beta, "initial_speed": speed}
    same = driver(THETA, Settings([lr] * STEPS, numbers), driver.variants[0], "float64")
    assert relative_error(after_the_steps(same), found) <= FLOAT64


@pytest.mark.parametrize("arguments", ADAMS, ids=str)
def test_from_adam_is_the_core_s(driver: type, arguments: dict[str, Any]) -> None:
    if "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    run = driver.translated("from_adam", THETA, {"weight_decay": 0.02} | arguments)
    values = from_adam(**{"weight_decay": 0.02} | arguments)._asdict()
    # (Keras and optax have their own default of ε, which 1e-6 of these gradients does not notice.)
    lr = values.pop("lr")
    settings = Settings([lr] * STEPS, values, "INNAprop")
    same = driver(THETA, settings, driver.variants[0], "float64")
    bound = FLOAT64 if "eps" in arguments else 1e-5
    assert relative_error(after_the_steps(run), after_the_steps(same)) <= bound


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("from_sgd", {"lr": 0.1, "momentum": 1.5}, "Invalid momentum: 1.5"),
        ("from_sgd", {"lr": 0.1, "momentum": 0.9, "damping": 0.05}, "Invalid damping: 0.05"),
        ("from_sgd", {"lr": 0.1, "nesterov": True}, "Nesterov momentum requires"),
        ("from_adam", {"lr": 0.1, "damping": 2.0}, "Invalid damping: 2.0"),
        ("from_adam", {"lr": -0.1}, "Invalid learning rate: -0.1"),
    ],
)
def test_what_there_is_not_is_refused(
    driver: type, name: str, arguments: dict[str, Any], words: str
) -> None:
    if name == "from_adam" and "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    with pytest.raises(ValueError, match=words):
        driver.translated(name, THETA, arguments)
