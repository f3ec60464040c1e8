"""The identities of `indian_core.equivalences` against SGD and QHM written out by hand.

The goldens that nobody here wrote, the frameworks' own SGD, are in the adapters' tests.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indian_core import (
    Coefficients,
    IndianHyperparameters,
    Kept,
    coefficients,
    from_gradient_descent,
    from_qhm,
    from_sgd,
    rescaled,
    scheduled_sgd,
    sgd_shares,
    to_qhm,
    to_sgd,
)
from indian_core.testing import ReferenceINDIAN

# The INDIAN whose lr is γ: it is this SGD while SGD's lr is constant.
at_constant_lr = functools.partial(from_sgd, keep_momentum=False)
positive = st.floats(1e-3, 2)
momenta = st.floats(0.01, 0.99)
GRADIENTS = np.random.default_rng(0).standard_normal(60)


def indian(hyperparameters: IndianHyperparameters) -> np.ndarray:
    lr, alpha, beta, speed = hyperparameters
    optimizer = ReferenceINDIAN([np.array(1.0)], alpha, beta, speed)
    path = []
    for v in GRADIENTS:
        optimizer.step([v], lr)
        path.append(optimizer.theta[0])
    return np.array(path)


def sgd(lr: float, momentum: float, nesterov: bool) -> np.ndarray:
    theta, buffer, path = 1.0, 0.0, []
    for v in GRADIENTS:
        buffer = momentum * buffer + v
        theta -= lr * (v + momentum * buffer if nesterov else buffer)
        path.append(theta)
    return np.array(path)


def qhm(lr: float, momentum: float, nu: float) -> np.ndarray:
    theta, buffer, path = 1.0, 0.0, []
    for v in GRADIENTS:
        buffer = momentum * buffer + (1 - momentum) * v
        theta -= lr * ((1 - nu) * v + nu * buffer)
        path.append(theta)
    return np.array(path)


@given(positive, st.floats(1, 100))
def test_gradient_descent(lr: float, ratio: float) -> None:
    hyperparameters = from_gradient_descent(lr, beta=ratio * math.sqrt(lr))
    theirs = sgd(lr, 0.0, False)
    tolerance = 1e-13 * max(1.0, np.max(np.abs(theirs))) * max(1.0, 1 / hyperparameters.beta)
    np.testing.assert_allclose(indian(hyperparameters), theirs, rtol=0, atol=tolerance)
    assert to_sgd(*hyperparameters[:3]) == pytest.approx((lr, 0.0, False), rel=1e-12)


@given(positive, st.one_of(st.just(0.0), momenta), st.booleans())
def test_sgd(lr: float, momentum: float, nesterov: bool) -> None:
    nesterov = nesterov and momentum > 0
    hyperparameters = at_constant_lr(lr, momentum, nesterov)
    theirs = sgd(lr, momentum, nesterov)
    scale = max(1.0, np.max(np.abs(theirs)))
    # ψ is 1/β times as rough as what it stands for.
    tolerance = 1e-13 * scale * max(1.0, 1 / hyperparameters.beta)
    np.testing.assert_allclose(indian(hyperparameters), theirs, rtol=0, atol=tolerance)
    back = to_sgd(*hyperparameters[:3])
    assert back.lr == pytest.approx(lr, rel=1e-12)
    assert back.momentum == pytest.approx(momentum, abs=1e-12)
    assert back.nesterov == nesterov


@given(positive, momenta, st.floats(0, 1))
def test_qhm(lr: float, momentum: float, nu: float) -> None:
    hyperparameters = from_qhm(lr, momentum, nu)
    theirs = qhm(lr, momentum, nu)
    tolerance = 1e-12 * max(1.0, np.max(np.abs(theirs)), 1 / hyperparameters.beta)
    np.testing.assert_allclose(indian(hyperparameters), theirs, rtol=0, atol=tolerance)
    back = to_qhm(*hyperparameters[:3])
    assert back == pytest.approx((lr, momentum, nu), rel=1e-10, abs=1e-10)


def test_sgd_is_a_special_qhm() -> None:
    lr, momentum = 0.04, 0.75
    for nesterov, nu in ((False, 1.0), (True, momentum)):
        theirs = from_qhm(lr / (1 - momentum), momentum, nu)
        assert at_constant_lr(lr, momentum, nesterov) == pytest.approx(theirs, rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: at_constant_lr(0.0), "Invalid learning rate: 0.0"),
        (lambda: at_constant_lr(0.1, -0.5), "Invalid momentum: -0.5"),
        (lambda: at_constant_lr(0.1, 1.5), r"Invalid momentum: 1.5 \(it must be at most 1\)"),
        (lambda: at_constant_lr(0.1, 0.0, True), "Nesterov momentum requires a momentum"),
        (lambda: from_qhm(0.1, 1.0, 0.5), "Invalid momentum: 1.0"),
        (lambda: from_qhm(0.1, 0.9, 2.0), "Invalid nu: 2.0"),
        (lambda: from_gradient_descent(0.1, -1.0), "Invalid beta: -1.0"),
        (lambda: from_gradient_descent(0.5, 0.5), r"Invalid beta: 0.5 \(it must be greater than"),
        (lambda: to_qhm(0.5, 2.0, 0.1), "alpha\\*lr = 1"),
        (lambda: to_sgd(0.1, 0.5, 0.3), "No SGD equals INDIAN with lr=0.1"),
        (lambda: to_sgd(math.nan, 0.5, 0.3), "Invalid learning rate: nan"),
    ],
)
def test_what_has_no_counterpart_is_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


@given(positive, momenta, st.floats(0, 1))
def test_damping_is_quasi_hyperbolic(lr: float, momentum: float, share: float) -> None:
    """d = αβ at SGD's η = lr/(1 − m): QHM with ν = (1 − d)/m."""
    damping = min(1.0, 1 - momentum + share * momentum)
    hyperparameters = at_constant_lr(lr, momentum, damping=damping)
    nu = (1 - damping) / momentum
    np.testing.assert_allclose(
        indian(hyperparameters), qhm(lr / (1 - momentum), momentum, nu), rtol=1e-10, atol=1e-10
    )


def test_damping_holds_the_heavy_ball_nesterov_and_gradient_descent() -> None:
    heavy_ball, nesterov = at_constant_lr(0.01, 0.9), at_constant_lr(0.01, 0.9, nesterov=True)
    assert at_constant_lr(0.01, 0.9, damping=1 - 0.9) == pytest.approx(heavy_ball)
    assert at_constant_lr(0.01, 0.9, damping=1 - 0.81) == pytest.approx(nesterov)
    assert to_sgd(*at_constant_lr(0.01, 0.9, damping=1)[:3]) == pytest.approx((0.1, 0.0, False))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"damping": 0.05}, r"Invalid damping: 0.05 \(it must be from 1 - momentum = 0.1 to 1\)"),
        ({"damping": 1.01}, r"Invalid damping: 1.01"),
        ({"damping": float("nan")}, r"Invalid damping: nan"),
        ({"damping": 0.5, "nesterov": True}, r"Invalid damping: 0.5 \(it cannot .* nesterov=True"),
        ({"damping": 0.5, "momentum": 1}, r"Invalid damping: 0.5 \(it cannot .* momentum=1"),
    ],
)
def test_a_damping_that_is_none_is_refused(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        at_constant_lr(**{"lr": 0.1, "momentum": 0.9, **arguments})


def linear(steps: list[Coefficients]) -> np.ndarray:
    theta, w, path = 1.0, 0.0, []
    for v, (a, b, c, d) in zip(GRADIENTS, steps, strict=False):
        theta, w = theta + a * w + b * v, c * w + d * v
        path.append(theta)
    return np.array(path)


@given(
    st.lists(st.one_of(st.just(0.0), positive), min_size=1, max_size=60),
    momenta,
    st.booleans(),
)
def test_any_schedule_of_sgd_s_lr(lrs: list[float], momentum: float, nesterov: bool) -> None:
    """In units of γ, and on w itself, which is brought to each step's own γ."""
    theta, buffer, expected = 1.0, 0.0, []
    for v, lr in zip(GRADIENTS, lrs, strict=False):
        buffer = momentum * buffer + v
        theta -= lr * (v + momentum * buffer if nesterov else buffer)
        expected.append(theta)
    shares = sgd_shares(momentum, nesterov)
    steps = [scheduled_sgd(lr, momentum, shares) for lr in lrs]
    np.testing.assert_allclose(linear(steps), expected, rtol=1e-11, atol=1e-11)
    gammas = [1.0]
    for lr in lrs:
        gammas.append(math.sqrt(lr) if lr > 0 else gammas[-1])
    on_w = [rescaled(*each) for each in zip(steps, gammas, gammas[1:], strict=False)]
    np.testing.assert_allclose(linear(on_w), expected, rtol=1e-11, atol=1e-11)


@given(positive, momenta, st.floats(0, 1))
def test_a_kept_momentum_is_the_same_at_a_constant_lr(
    lr: float, momentum: float, share: float
) -> None:
    """On b = w √(c/lr), and with the lr that SGD has, 0 included."""
    damping = 1 - momentum + share * momentum
    gamma, *others = at_constant_lr(lr, momentum, damping=damping)
    kept = from_sgd(lr, momentum, damping=damping)
    units = math.sqrt(kept.reference_lr / lr)
    found = rescaled(coefficients(*kept.at, False, kept.reference_lr), 1.0, 1.0)
    expected = rescaled(coefficients(gamma, *others), units, units)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
    assert from_sgd(0.0, momentum, damping=damping) == Kept(kept.at._replace(lr=0.0), 1.0)


@given(positive, momenta, st.floats(0, 1))
def test_a_constant_schedule_is_indian(lr: float, momentum: float, share: float) -> None:
    damping = 1 - momentum + share * momentum
    gamma, *others = at_constant_lr(lr, momentum, damping=damping)
    step = scheduled_sgd(lr, momentum, sgd_shares(momentum, damping=damping))
    found = rescaled(step, gamma, gamma)
    np.testing.assert_allclose(found, coefficients(gamma, *others), rtol=1e-12, atol=1e-13)
