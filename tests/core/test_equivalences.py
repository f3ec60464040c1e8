"""The two laws are one method at constant numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indian_core import (
    damped_adamw_from_innaprop,
    damped_sgd_from_indian,
    indian_from_damped_sgd,
    innaprop_from_damped_adamw,
)
from indian_core.testing import (
    ReferenceDampedAdamW,
    ReferenceDampedSGD,
    ReferenceINDIAN,
    ReferenceINNAprop,
)

GRADIENTS = np.random.default_rng(0).standard_normal((60, 3))
rates, momenta, shares = st.floats(1e-3, 1), st.floats(0.01, 0.99), st.floats(0, 1)


def damping_of(momentum: float, share: float) -> float:
    return min(1.0, (1 - momentum) + share * momentum)


def assert_same_run(paper: ReferenceINDIAN, gamma: float, damped: object, lr: float) -> None:
    for v in GRADIENTS:
        paper.step([v], gamma)
        damped.step([v], lr)  # type: ignore[attr-defined]
    scale = max(1.0, float(np.max(np.abs(paper.theta[0]))))
    found = damped.theta[0]  # type: ignore[attr-defined]
    # ψ's own rounding errors enter multiplied by 1/β.
    bound = 1e-12 * scale * max(1.0, 1 / paper.beta)
    np.testing.assert_allclose(found, paper.theta[0], rtol=0, atol=bound)


@given(lr=rates, momentum=momenta, share=shares)
def test_damped_sgd_is_indian(lr: float, momentum: float, share: float) -> None:
    damping = damping_of(momentum, share)
    gamma, alpha, beta, speed = indian_from_damped_sgd(lr, momentum, damping)
    paper = ReferenceINDIAN([np.ones(3)], alpha, beta, speed)
    damped = ReferenceDampedSGD([np.ones(3)], momentum, damping=damping)
    assert_same_run(paper, gamma, damped, lr)
    back = damped_sgd_from_indian(gamma, alpha, beta)
    assert back == pytest.approx((lr, momentum, damping), rel=1e-12)


@given(lr=rates, momentum=momenta, share=shares, decay=st.floats(0, 1))
def test_damped_adamw_is_innaprop(lr: float, momentum: float, share: float, decay: float) -> None:
    damping = damping_of(momentum, share)
    gamma, alpha, beta, theirs = innaprop_from_damped_adamw(lr, momentum, damping, decay)
    assert gamma * theirs == pytest.approx(lr * decay, rel=1e-12)
    back = damped_adamw_from_innaprop(gamma, alpha, beta, theirs)
    assert back == pytest.approx((lr, momentum, damping, decay), rel=1e-12)
    if abs(beta - gamma) < 1e-3 * beta:  # the published form of INNAprop is 0/0 at γ = β
        return
    paper = ReferenceINNAprop([np.ones(3)], alpha, beta, 0.99, 1e-3, theirs)
    damped = ReferenceDampedAdamW([np.ones(3)], momentum, 0.99, 1e-3, damping, decay)
    for v in GRADIENTS:
        paper.step([v], gamma)
        damped.step([v], lr)
    bound = 1e-12 * max(1.0, 1 / beta, 1 / abs(beta - gamma)) * 100
    np.testing.assert_allclose(damped.theta[0], paper.theta[0], rtol=bound, atol=bound)


def test_no_rate_is_too_small() -> None:
    found = innaprop_from_damped_adamw(1e-300, 0.9, 0.3, 0.1)
    assert all(0 < value < float("inf") for value in found)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((0.0, 0.9, 0.3), "learning rate"),
        ((0.1, 1.0, 0.3), "momentum"),
        ((0.1, 0.9, 0.05), "damping"),
        ((0.1, 0.9, 1.5), "damping"),
    ],
)
def test_what_is_out_of_range_is_refused(arguments: tuple[float, ...], name: str) -> None:
    for convert in (indian_from_damped_sgd, innaprop_from_damped_adamw):
        with pytest.raises(ValueError, match=name):
            convert(*arguments)
