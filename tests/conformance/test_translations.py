"""`from_sgd` and `from_adam` mean one thing in every adapter: the core's numbers, exact runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from indian_core import from_adam, from_sgd
from indian_core.kept_momentum import referred
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


# A warm-up from 0, and a decay that goes through 0 and ends there.
LRS = [0.1 * k / 5 for k in range(5)] + [
    0.0 if k == 17 else 0.05 * (1 + math.cos(math.pi * k / 24)) for k in range(25)
]


def qhm(
    lr: Any,
    momentum: float = 0.0,
    nesterov: bool = False,
    damping: Any = None,
    as_keras: bool = False,
) -> Any:
    """SGD with d in the place of its damping, by hand; lr may be a list.

    Keras's has lr in the momentum.
    """
    m = momentum
    lrs = lr if isinstance(lr, list) else [lr] * STEPS
    d = damping if damping is not None else 1 - m**2 if nesterov else 1 - m
    nu = (1 - d) / m if m else 1.0
    theta, buffer = [t.copy() for t in THETA], [np.zeros_like(t) for t in THETA]
    for v, rate in zip(GRADIENTS[:STEPS], lrs, strict=True):
        now, later = (rate, 1.0) if as_keras else (1.0, rate)
        buffer = [m * b + (1 - m) * now * g for b, g in zip(buffer, v, strict=True)]
        theta = [
            t - later / (1 - m) * ((1 - nu) * now * g + nu * b)
            for t, g, b in zip(theta, v, buffer, strict=True)
        ]
    return theta


def innaprop(
    lr: list[float],
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 0.0,
    weight_decay: float = 0.0,
    damping: float | None = None,
) -> Any:
    """INNAprop with AdamW's numbers along a schedule of its lr, by hand."""
    m, sigma = betas
    d = 1 - m**2 if damping is None else damping
    nu = (1 - d) / m if m else 1.0
    theta, buffer = [t.copy() for t in THETA], [np.zeros_like(t) for t in THETA]
    squares = [np.zeros_like(t) for t in THETA]
    for t, (v, rate) in enumerate(zip(GRADIENTS[:STEPS], lr, strict=True), start=1):
        squares = [sigma * s + (1 - sigma) * g**2 for s, g in zip(squares, v, strict=True)]
        us = [g / (np.sqrt(s / (1 - sigma**t)) + eps) for g, s in zip(v, squares, strict=True)]
        buffer = [m * b + (1 - m) * u for b, u in zip(buffer, us, strict=True)]
        theta = [
            (1 - rate * weight_decay) * x - rate * ((1 - nu) * u + nu * b)
            for x, u, b in zip(theta, us, buffer, strict=True)
        ]
    return theta


def after_the_steps(run: Any) -> Any:
    for v in GRADIENTS[:STEPS]:
        run.step(v)
    return run.theta()


@pytest.mark.parametrize("arguments", SGDS, ids=str)
def test_along_a_schedule_the_momentum_stays(driver: type, arguments: dict[str, Any]) -> None:
    arguments = arguments | {"lr": LRS}
    run = driver.translated("from_sgd", THETA, arguments)
    expected = qhm(**arguments, as_keras=getattr(driver, "sgd_as_keras", False))
    assert relative_error(after_the_steps(run), expected) <= FLOAT64


@pytest.mark.parametrize("arguments", ADAMS, ids=str)
def test_along_a_schedule_adam_s_momentum_stays(driver: type, arguments: dict[str, Any]) -> None:
    if "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    arguments = {"eps": 1e-3, "weight_decay": 0.02} | arguments
    scheduled = driver.translated("from_adam", THETA, arguments | {"lr": LRS})
    expected = innaprop(**arguments | {"lr": LRS})
    assert relative_error(after_the_steps(scheduled), expected) <= FLOAT64
    constant = driver.translated("from_adam", THETA, arguments | {"lr": [0.01] * STEPS})
    plain = driver.translated("from_adam", THETA, arguments | {"lr": 0.01})
    assert relative_error(after_the_steps(constant), after_the_steps(plain)) <= FLOAT64


KEPT: list[tuple[str, dict[str, Any]]] = [
    ("INDIAN", {"initial_speed": 1.0, "weight_decay": 0.1}),
    ("INNAprop", {"weight_decay": 0.1, "eps": 1e-3}),
    ("INNAprop", {"weight_decay": 0.1, "eps": 1e-3, "authors_weight_decay": True}),
]


@pytest.mark.parametrize(("which", "others"), KEPT, ids=str)
def test_a_reference_lr_is_another_form_of_the_same(
    driver: type, variant: str, which: str, others: dict[str, Any]
) -> None:
    if which not in driver.methods:
        pytest.skip(f"this adapter has no {which}")
    kept = {"lr": 0.09, "alpha": 0.5, "beta": 0.7, "reference_lr": 0.16, **others}
    plain, _ = referred(kept, None)
    runs = [
        driver(THETA, Settings([numbers.pop("lr")] * STEPS, numbers, which), variant, "float64")
        for numbers in (kept, plain)
    ]
    for v in GRADIENTS[:5]:
        for run in runs:
            run.step(v)
    first, second = runs
    assert relative_error(first.theta(), second.theta()) <= FLOAT64
    assert relative_error(first.psi(), second.psi()) <= FLOAT64
    assert first.energy(2.0) == pytest.approx(second.energy(2.0), rel=FLOAT64)
    for run in runs:
        run.set_psi([1.1 * psi for psi in second.psi()])
        run.step(GRADIENTS[5])
    assert relative_error(first.theta(), second.theta()) <= FLOAT64


@pytest.mark.parametrize("arguments", SGDS, ids=str)
def test_from_sgd_makes_the_steps_of_that_sgd(driver: type, arguments: dict[str, Any]) -> None:
    for keep_momentum in (True, False):
        given = {**arguments, "keep_momentum": keep_momentum}
        found = after_the_steps(driver.translated("from_sgd", THETA, given))
        assert relative_error(found, qhm(**arguments)) <= FLOAT64
        numbers = from_sgd(**given)._asdict()
        lrs = [numbers.pop("lr")] * STEPS
        same = driver(THETA, Settings(lrs, numbers), driver.variants[0], "float64")
        assert relative_error(after_the_steps(same), found) <= FLOAT64


@pytest.mark.parametrize("arguments", ADAMS, ids=str)
def test_from_adam_is_the_core_s(driver: type, arguments: dict[str, Any]) -> None:
    if "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    for keep_momentum in (True, False):
        given = {"weight_decay": 0.02, **arguments, "keep_momentum": keep_momentum}
        run = driver.translated("from_adam", THETA, given)
        values = from_adam(**given)._asdict()
        # (Keras and optax have their own default of ε, which these gradients hardly notice.)
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
        ("from_sgd", {"lr": -0.1}, "Invalid learning rate: -0.1"),
    ],
)
def test_what_there_is_not_is_refused(
    driver: type, name: str, arguments: dict[str, Any], words: str
) -> None:
    if name == "from_adam" and "INNAprop" not in driver.methods:
        pytest.skip("this adapter has no INNAprop")
    with pytest.raises(ValueError, match=words):
        driver.translated(name, THETA, arguments)
