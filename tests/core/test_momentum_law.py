"""The momentum law against SGD and AdamW written out by hand, exactly in fractions.

The goldens that nobody here wrote, the frameworks' own optimizers, are in the adapters' tests.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indian_core import (
    adamw_coefficients,
    checked_damping,
    constant_call,
    constant_scale,
    keras_sgd_coefficients,
    new_buffer_weights,
    sgd_coefficients,
    weights,
)
from indian_core.testing import ReferenceDampedSGD, exact

fractions = st.fractions(0, 1, max_denominator=1000)
momenta = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=1000)
numbers = st.fractions(-10, 10, max_denominator=1000)
# A damping as a share of its range, from the heavy ball's to 1.
dampings = st.one_of(st.none(), fractions)


def damping_of(momentum: Any, share: Any) -> Any:
    return None if share is None else (1 - momentum) + share * momentum


@given(lr=fractions, m=momenta, share=dampings, nesterov=st.booleans(), s=numbers, v=numbers)
def test_a_step_is_the_published_one_exactly(
    lr: Any, m: Any, share: Any, nesterov: bool, s: Any, v: Any
) -> None:
    d = damping_of(m, share)
    nesterov = nesterov and d is None
    for as_keras, law in ((False, sgd_coefficients), (True, keras_sgd_coefficients)):
        reference = ReferenceDampedSGD([np.array(Fraction(1), object)], m, nesterov, d)
        reference.as_keras = as_keras
        reference.momentums = (np.array(s, object),)
        reference.step([np.array(v, object)], lr)
        a, b, c, e = law(lr, m, nesterov, d)
        assert 1 + a * s + b * v == reference.theta[0]
        assert c * s + e * v == reference.momentums[0]
    old, new = weights(m, nesterov, d), new_buffer_weights(m, nesterov, d)
    assert new.buffer * (m * s + v) + new.direction * v == old.buffer * s + old.direction * v


@given(
    m=st.floats(0.01, 0.999),
    share=st.one_of(st.none(), st.floats(0.0, 1.0)),
    nesterov=st.booleans(),
    adamw=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_one_call_at_one_scale_whatever_lr(
    m: float, share: Any, nesterov: bool, adamw: bool, seed: int
) -> None:
    """SGD's own kernel, with dampening, makes every step of a run at any schedule."""
    d = damping_of(m, share)
    d = None if d is None else min(d, 1.0)

    def law(lr: float) -> Any:
        if adamw:
            return adamw_coefficients(lr, m, 1 - m**2 if d is None else d)
        return sgd_coefficients(lr, m, nesterov and d is None, d)

    scale = constant_scale(law(1.0))
    assert scale > 0
    if d is None and not adamw:
        assert scale == 1.0
    random = np.random.default_rng(seed)
    theta, s, ours, buffer = 1.0, 0.0, 1.0, 0.0
    for k in range(30):
        lr, v = (0.0 if k == 5 else random.uniform(0, 0.1)), random.standard_normal()
        step = law(lr)
        call = constant_call(step, scale)
        if call is None:
            # Only near the ends of the range.
            assert d is not None
            assert d > 1 - 1e-4 or d < (1 - m) * (1 + 1e-3), (m, d)
            return
        a, b, c, e = step
        theta, s = theta + a * s + b * v, c * s + e * v
        buffer = call.momentum * buffer + (1 - call.dampening) * v
        ours -= call.lr * (v + call.momentum * buffer if call.nesterov else buffer)
    size = max(1.0, abs(theta), abs(s))
    assert abs(ours - theta) <= 1e-9 * size
    assert abs(buffer - scale * s) <= 1e-9 * max(1.0, abs(scale * s))


@pytest.mark.parametrize(
    ("damping", "momentum", "nesterov"),
    [
        (0.05, 0.9, False),
        (1.1, 0.9, False),
        (-0.1, 0.9, False),
        (0.3, 0.9, True),
        (0.9, 0.0, False),
        (0.3, 1.0, False),
    ],
)
def test_a_damping_out_of_its_range_is_refused(
    damping: float, momentum: float, nesterov: bool
) -> None:
    with pytest.raises(ValueError, match="damping"):
        checked_damping(damping, momentum, nesterov=nesterov)


def test_the_damping_of_the_heavy_ball_may_be_written_as_a_decimal() -> None:
    assert 0.3 < 1 - 0.7
    assert checked_damping(0.3, 0.7) == 0.3
    assert checked_damping(exact(0.25), 0.75) == 0.25
